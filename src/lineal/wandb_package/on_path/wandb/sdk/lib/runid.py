"""Ids of runs."""

from lineal.util import generate_id as generate_id
