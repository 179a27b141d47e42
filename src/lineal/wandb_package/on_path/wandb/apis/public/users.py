"""Users."""

from lineal.client.public.user import User as User
