"""What is asked after the fact."""

from lineal.client.public.api import Api as Api

from . import public as public

PublicApi = Api
