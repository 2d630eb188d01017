"""`GET /problems/{slug}`: every problem's `type` leads here."""

from fastapi import APIRouter

from services.gateway.http import problems
from services.gateway.openapi.document import problem_docs
from shared.contracts.wire.jobs import ProblemType

router = APIRouter(tags=["problems"])


@router.get(
    "/problems",
    operation_id="list_problems",
    summary="All problem types",
    responses=problem_docs(problems.INTERNAL_ERROR),
)
async def list_problems() -> list[ProblemType]:
    """List the problem types by status."""
    kinds = sorted(problems.PROBLEMS.values(), key=lambda kind: (kind.status, kind.slug))
    return [_body(kind) for kind in kinds]


@router.get(
    "/problems/{slug}",
    operation_id="get_problem",
    summary="One problem type",
    responses=problem_docs(problems.NOT_FOUND, problems.INTERNAL_ERROR),
)
async def get_problem(slug: str) -> ProblemType:
    """Say what the problem type means and what to do."""
    kind = problems.PROBLEMS.get(slug)
    if kind is None:
        raise problems.ProblemError(problems.NOT_FOUND, f"there is no problem type {slug!r}")
    return _body(kind)


def _body(kind: problems.ProblemKind) -> ProblemType:
    return ProblemType(type=kind.type, title=kind.title, status=kind.status, help=kind.help)
