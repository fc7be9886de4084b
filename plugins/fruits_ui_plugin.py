"""The plugin that adds the project's pages to Airflow's UI.

Every process of Airflow loads it, so it imports nothing but the addresses.
"""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from fruits_airflow.ui import addresses


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """ASGI application: the pages, imported with the first request."""
    from fruits_airflow.ui.app import app

    await app(scope, receive, send)


class FruitsPages(AirflowPlugin):
    """The pages at /fruits, and their entry in the navigation; nothing on an Airflow that cannot show them."""

    name = "fruits"
    if addresses.HAS_PAGES:
        fastapi_apps = [{"app": pages, "url_prefix": addresses.PREFIX, "name": "fruits"}]
        external_views = [
            {
                "name": "Fruit runs",
                "href": f"{addresses.PREFIX.lstrip('/')}/",
                "destination": "nav",
                "url_route": addresses.UI_ROUTE,
                "nav_top_level": True,
            }
        ]
