"""What routes ask FastAPI for."""

from typing import Annotated

from fastapi import Depends, Request

from services.gateway.wiring import Gateway


async def _gateway(request: Request) -> Gateway:
    gateway = request.state.gateway
    assert isinstance(gateway, Gateway)  # noqa: S101  # the lifespan put it there
    return gateway


GatewayDep = Annotated[Gateway, Depends(_gateway)]
