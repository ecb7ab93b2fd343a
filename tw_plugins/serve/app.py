"""The endpoints: OpenAI's chat completions, completions and models, health and metrics."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response

from tw_plugins.rollout import EngineError
from tw_plugins.serve.admission import Admission
from tw_plugins.serve.answers import Answers
from tw_plugins.serve.errors import RequestError, of_engine, of_validation, shape
from tw_plugins.serve.guard import Guard
from tw_plugins.serve.metrics import CONTENT_TYPE_LATEST, Metrics
from tw_plugins.serve.page import FILES, page_file
from tw_plugins.serve.prompts import Prompts
from tw_plugins.serve.requests import ChatRequest, CompletionRequest
from tw_plugins.serve.served import Served

__all__ = ["make_app"]


def make_app(served: Served) -> FastAPI:
    """The server of one model, for uvicorn or any other ASGI server; one event loop for its whole life."""
    admission = Admission(served.max_concurrent)
    metrics = Metrics(lambda: admission.running)
    prompts = Prompts(served.tokenizer, served.context)
    answers = Answers(served, prompts, admission, metrics)
    created = int(time.time())

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        prompts.close()

    # No pages of documentation: they load scripts from elsewhere.
    app = FastAPI(title="threadweaver serve", docs_url=None, redoc_url=None, lifespan=life)

    @app.post("/v1/chat/completions")
    async def chat(asked: ChatRequest, request: HTTPRequest) -> Response:
        return await answers.chat(asked, request)

    @app.post("/v1/completions")
    async def completions(asked: CompletionRequest, request: HTTPRequest) -> Response:
        return await answers.completions(asked, request)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        card = {"id": served.name, "object": "model", "created": created, "owned_by": "threadweaver"}
        return {"object": "list", "data": [{**card, "max_model_len": served.context}]}

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200 if await served.engine.is_up() else 503)

    @app.get("/metrics")
    async def figures() -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    for path in FILES:
        app.add_api_route(path, partial(_file, path), include_in_schema=False)

    paths = {getattr(route, "path", None) for route in app.routes}

    def answered(path: str, status: int) -> None:
        metrics.requests.labels(path if path in paths else "other", status).inc()

    app.add_middleware(Guard, api_key=served.api_key, answered=answered)
    _tell_errors(app)
    return app


async def _file(path: str) -> Response:
    return page_file(path)


def _tell_errors(app: FastAPI) -> None:
    """Every error in OpenAI's form."""

    @app.exception_handler(RequestError)
    async def refused(request: HTTPRequest, error: RequestError) -> Response:
        return JSONResponse(error.body, error.status, error.headers)

    @app.exception_handler(EngineError)
    async def failed(request: HTTPRequest, error: EngineError) -> Response:
        told = of_engine(error)
        return JSONResponse(told.body, told.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: HTTPRequest, error: RequestValidationError) -> Response:
        told = of_validation(error.errors())
        return JSONResponse(told.body, told.status)

    @app.exception_handler(HTTPException)
    async def http(request: HTTPRequest, error: HTTPException) -> Response:
        message = str(error.detail)
        if message == HTTPStatus(error.status_code).phrase:
            message = f"{request.method} {request.url.path[:60]}: {message.lower()}"
        return JSONResponse(shape(error.status_code, message), error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def fault(request: HTTPRequest, error: Exception) -> Response:
        return JSONResponse(shape(500, "an error of this server's: see its log"), 500)
