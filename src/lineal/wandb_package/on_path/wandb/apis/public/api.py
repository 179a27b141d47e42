"""The entry to all that is asked after the fact."""

from lineal.client.public.api import Api as Api
