"""The state of a build in a bucket, read from the names and times of its objects."""

from __future__ import annotations

from mmprolong_data.manifest import MANIFEST_NAME

from ..engines.slices import failures
from ..pipeline import load_plan
from ..status import RECENT, StageStatus, Status, seconds_left
from .names import attempts_in, numbers_in
from .state import begun_at


def read_bucket_status(url: str) -> Status:
    """Look at the build at a URL; changes nothing. ``stages`` has ``pack`` alone: the others stay on their machines.

    Raises:
        MMProLongError: no build was begun there, or the bucket cannot be read.
    """
    with begun_at(url) as (state, own):
        plan = load_plan(own)
        listing = state.list()
        state.pull_failures(own, listing)
        known = failures(own)
        published = state.objects.exists(f"{state.name}/{MANIFEST_NAME}")
    sizes = plan.slice_sizes()
    done = [number for number in numbers_in(listing, state.key("pack")) if number < plan.num_slices]
    missing = set(range(plan.num_slices)) - set(done)
    failed = {number: known[number] for number in sorted(missing) if number in known}
    begun = attempts_in(listing, state.key("begun"))
    times = sorted((listing[state.key("pack", f"{n:05d}.json")].modified, sizes[n][1]) for n in done)
    return Status(
        slices=plan.num_slices,
        documents=len(plan.documents),
        pages=sum(pages for _, pages in sizes),
        stages={"pack": StageStatus(len(done), sum(sizes[n][0] for n in done), sum(sizes[n][1] for n in done))},
        in_work=[],
        interrupted=[],
        failed=failed,
        published=published,
        last=times[-1][0] if times else None,
        seconds_left=seconds_left(times[-RECENT:], sum(sizes[n][1] for n in missing)),
        begun=sorted(number for number in missing - set(failed) if begun[number]),
    )
