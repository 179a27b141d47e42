"""Lines for the terminal."""

from lineal.client.term import termerror as termerror
from lineal.client.term import termlog as termlog
from lineal.client.term import termwarn as termwarn
