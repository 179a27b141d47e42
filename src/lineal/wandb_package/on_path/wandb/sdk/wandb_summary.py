"""The summary of a run."""

from lineal.client.run.summary import Summary as Summary
