"""The pages, each with its own routes."""

from satsuma.workbench.pages import runs

ROUTERS = (runs.router,)
