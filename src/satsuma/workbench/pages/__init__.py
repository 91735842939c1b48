"""The pages, each with its own routes."""

from satsuma.workbench.pages import again, augmenting, clean, compare, data, errors, pictures, rates, run, runs, trying

ROUTERS = (
    runs.router,
    compare.router,
    run.router,
    rates.router,
    trying.router,
    again.router,
    clean.router,
    pictures.router,
    augmenting.router,
    data.router,
    errors.router,
)
