"""The triggers: parse, call, answer. Everything that decides is in `shared`.

Queue triggers are coroutines that hand their work to a lane of their own (shared/wiring.py): while
they wait they hold no thread of the worker's pool, which the HTTP functions need.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import azure.functions as func

from shared.core.correlation import carried
from shared.core.itglue_messages import decode_pass_on
from shared.core.messages import decode_sweep_order, decode_user_delta
from shared.ports import BULK, FRESH, ITGLUE, LEAVERS, SWEEPS
from shared.web.http import Reply, Request, request_from
from shared.wiring import app

log = logging.getLogger("function_app")

ANONYMOUS = func.AuthLevel.ANONYMOUS  # each route checks its own proof (design section 9)
STORAGE = "AzureWebJobsStorage"
METHODS = [func.HttpMethod.GET, func.HttpMethod.POST, func.HttpMethod.PUT]
METHODS += [func.HttpMethod.PATCH, func.HttpMethod.DELETE]

# A wrong setting is refused now, with its one sentence, rather than at the first request.
_settings = app().settings

functions = func.FunctionApp(http_auth_level=ANONYMOUS)


# --- HTTP --------------------------------------------------------------------------------------


@functions.route(route="webhooks/graph/{connection}", methods=[func.HttpMethod.POST])
async def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    """Graph's change notifications (R31)."""
    return _response(await app().webhook.answer(req.route_params["connection"], _request(req)))


@functions.route(route="webhooks/graph/{connection}/lifecycle", methods=[func.HttpMethod.POST])
async def graph_lifecycle(req: func.HttpRequest) -> func.HttpResponse:
    """Graph's lifecycle events of a subscription (R31)."""
    return _response(await app().webhook.answer(req.route_params["connection"], _request(req)))


@functions.route(route="OAuth/IntegrationCallback.aspx", methods=[func.HttpMethod.GET])
def oauth_callback(req: func.HttpRequest) -> func.HttpResponse:
    """Where Microsoft sends the browser after Connect (R28)."""
    return _response(app().api.dispatch(_request(req)))


@functions.route(route="health", methods=[func.HttpMethod.GET])
def health(req: func.HttpRequest) -> func.HttpResponse:
    """200 or 503, nothing else."""
    return _response(app().api.dispatch(_request(req)))


@functions.route(route="api/{*path}", methods=METHODS)
def admin_api(req: func.HttpRequest) -> func.HttpResponse:
    """The admin API (design section 6)."""
    with app().invocation("admin api"):
        return _response(app().api.dispatch(_request(req)))


@functions.route(route="console/{*path}", methods=[func.HttpMethod.GET, func.HttpMethod.POST])
def console(req: func.HttpRequest) -> func.HttpResponse:
    """The pages (design section 6)."""
    with app().invocation("console"):
        return _response(app().console.dispatch(_request(req)))


# --- timers ------------------------------------------------------------------------------------


@functions.timer_trigger(arg_name="timer", schedule=_settings.sweep_schedule, use_monitor=False)
async def sweep_timer(timer: func.TimerRequest, context: func.Context) -> None:
    """Order a sweep for every connection that is due."""
    await _in(app().lanes.timers, context, app().sweep.order_due, "sweep timer")


@functions.timer_trigger(arg_name="timer", schedule="30 */5 * * * *", use_monitor=False)
async def keep_subscriptions(timer: func.TimerRequest, context: func.Context) -> None:
    """Extend, check and recreate subscriptions (R31)."""
    await _in(app().lanes.timers, context, app().subscriptions.keep_all, "keep subscriptions")


@functions.timer_trigger(arg_name="timer", schedule="0 20 * * * *", use_monitor=False)
async def retention(timer: func.TimerRequest, context: func.Context) -> None:
    """End holds that nobody decided; remove what is older than the setting."""
    await _in(app().lanes.sweeps, context, app().retention.run, "retention")


@functions.timer_trigger(arg_name="timer", schedule="20 * * * * *", use_monitor=False)
async def measure(timer: func.TimerRequest, context: func.Context) -> None:
    """Tell the figures that nobody's work tells: backlog, age of sweeps, what ends soon."""
    await _in(app().lanes.timers, context, app().measure.take, "measure")
    await _in(app().lanes.timers, context, app().flush, "flush")


@functions.timer_trigger(arg_name="timer", schedule="0 40 * * * *", use_monitor=False)
async def look_at_worklist(timer: func.TimerRequest, context: func.Context) -> None:
    """Close what BMS shows to be typed in (R26)."""
    await _in(app().lanes.sweeps, context, app().worklist.look, "look at worklist")


# --- queues ------------------------------------------------------------------------------------


@functions.queue_trigger(arg_name="msg", queue_name=SWEEPS, connection=STORAGE)
async def sweep(msg: func.QueueMessage, context: func.Context) -> None:
    """One connection: read its delta queries, or compare everybody."""
    order = decode_sweep_order(_text(msg))
    lanes = app().lanes
    whole = ("full", "rules", "preview", "undo", "drift")
    lane = lanes.full_syncs if order.kind in whole else lanes.sweeps
    name = f"{order.kind} order"
    await _in(lane, context, lambda: app().sweep.handle(order), name, _text(msg), SWEEPS)


@functions.queue_trigger(arg_name="msg", queue_name=FRESH, connection=STORAGE)
async def apply_user_delta(msg: func.QueueMessage, context: func.Context) -> None:
    """Fresh changes."""
    await _apply(msg, FRESH, app().lanes.fresh, context)


@functions.queue_trigger(arg_name="msg", queue_name=BULK, connection=STORAGE)
async def apply_bulk(msg: func.QueueMessage, context: func.Context) -> None:
    """The same for full syncs and rule changes."""
    await _apply(msg, BULK, app().lanes.bulk, context)


@functions.queue_trigger(arg_name="msg", queue_name=LEAVERS, connection=STORAGE)
async def apply_leavers(msg: func.QueueMessage, context: func.Context) -> None:
    """People whom a full sync did not see any more."""
    await _apply(msg, LEAVERS, app().lanes.leavers, context)


@functions.queue_trigger(arg_name="msg", queue_name=ITGLUE, connection=STORAGE)
async def pass_to_itglue(msg: func.QueueMessage, context: func.Context) -> None:
    """Contacts that were written to BMS, on to IT Glue (R27)."""
    text = _text(msg)
    message = decode_pass_on(text)
    await _in(
        app().lanes.itglue, context, lambda: app().passing_on.handle(message), ITGLUE, text, ITGLUE
    )


@functions.queue_trigger(arg_name="msg", queue_name=f"{SWEEPS}-poison", connection=STORAGE)
def poison_sweeps(msg: func.QueueMessage) -> None:
    """Sweep orders that failed every time."""
    _give_up(SWEEPS, _text(msg))


@functions.queue_trigger(arg_name="msg", queue_name=f"{FRESH}-poison", connection=STORAGE)
def poison_user_deltas(msg: func.QueueMessage) -> None:
    """Fresh changes that failed every time."""
    _give_up(FRESH, _text(msg))


@functions.queue_trigger(arg_name="msg", queue_name=f"{BULK}-poison", connection=STORAGE)
def poison_user_deltas_bulk(msg: func.QueueMessage) -> None:
    """Bulk work that failed every time."""
    _give_up(BULK, _text(msg))


@functions.queue_trigger(arg_name="msg", queue_name=f"{LEAVERS}-poison", connection=STORAGE)
def poison_user_deltas_leavers(msg: func.QueueMessage) -> None:
    """Deactivations that failed every time."""
    _give_up(LEAVERS, _text(msg))


@functions.queue_trigger(arg_name="msg", queue_name=f"{ITGLUE}-poison", connection=STORAGE)
def poison_itglue_contacts(msg: func.QueueMessage) -> None:
    """Contacts on their way to IT Glue that failed every time."""
    _give_up(ITGLUE, _text(msg))


# --- between the host's values and ours --------------------------------------------------------


async def _apply(msg: func.QueueMessage, queue: str, lane: Executor, context: func.Context) -> None:
    delta = decode_user_delta(_text(msg))
    await _in(lane, context, lambda: app().apply.handle(delta, queue), queue, _text(msg), queue)


def _give_up(queue: str, text: str) -> None:
    name = f"{queue}-poison"
    with app().invocation(name, carried(text)):
        if app().readiness.may_begin(name, text):
            app().poison.handle(queue, text)


async def _in(
    lane: Executor,
    context: func.Context,
    work: Callable[[], object],
    name: str,
    message: str = "",
    queue: str = "",
) -> None:
    def run() -> None:
        # Log lines of a thread that is not the worker's own belong to no invocation otherwise: the
        # worker of Python 3.13 looks at the context variables, older ones at this local.
        local: Any = context.thread_local_storage
        local.invocation_id = context.invocation_id
        with app().invocation(name, carried(message)):
            if app().readiness.may_begin(queue, message):
                work()

    variables = contextvars.copy_context()
    await asyncio.get_running_loop().run_in_executor(lane, variables.run, run)


def _text(msg: func.QueueMessage) -> str:
    return msg.get_body().decode("utf-8")


def _request(req: func.HttpRequest) -> Request:
    return request_from(req.method, req.url, req.headers, req.get_body())


def _response(reply: Reply) -> func.HttpResponse:
    response = func.HttpResponse(reply.body, status_code=reply.status)
    response.headers["Content-Type"] = reply.content_type
    for name, value in reply.headers:
        response.headers.add(name, value)  # there may be several cookies
    return response
