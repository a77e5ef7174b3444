"""The simulation: no task is lost or run twice, and what happens is what has to happen."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from shutil import copy, copytree
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as some

from reconciler import cli
from reconciler.scaling.model import Behavior, Policy, ResourceTarget
from reconciler.scaling.simulation import drawing, shapes, simulate, summary
from reconciler.scaling.simulation.contender import Contender
from reconciler.scaling.simulation.shapes import Amount
from reconciler.scaling.simulation.simulate import Moment, Run, World
from reconciler.scaling.simulation.traffic import Batch, Step, Traffic
from reconciler.scaling.simulation.workers import Queue, Removed, Terms, Workers
from render.model import Component

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = Path(__file__).parents[3] / "examples"
POLICY = Policy(1, 20, (), 4, Behavior(), 300, paused=False, concurrency=2)
OURS = Contender("shop/worker", "reconciler", POLICY, grace_seconds=60, cpu_request=1000)
FIXED = replace(POLICY, paused=True, concurrency=1)


def who(policy=POLICY, kind="reconciler", **more):
    return OURS._replace(policy=policy, kind=kind, **more)


def traffic(*arrivals, duration=1.0, seconds=15):
    """Return so many tasks in each step."""
    steps = (Step(number * seconds, count, duration) for number, count in enumerate(arrivals))
    return Traffic(tuple(steps), len(arrivals) * seconds)


def test_tasks_wait_for_those_before_them():
    run = simulate.run(who(FIXED), World(traffic(3, 0, duration=10)))
    assert run.waits == (0, 5, 10)
    assert (run.never_begun, run.changes, run.pod_hours) == (0, 0, 30 / 3600)


def test_a_pod_runs_as_many_as_it_may():
    run = simulate.run(who(replace(FIXED, concurrency=2)), World(traffic(4, 0, 0, duration=10)))
    assert run.waits == (0, 0, 2.5, 2.5)


def test_the_backlog_is_what_has_come_and_not_begun():
    run = simulate.run(who(FIXED), World(traffic(3, 3, 0, 0, 0, duration=10)))
    assert [(moment.arrived, moment.backlog) for moment in run.moments[:4]] == [(3, 1), (6, 3), (6, 1), (6, 0)]
    assert [moment.wait_seconds for moment in run.moments[:4]] == [5, 15, 20, 25]


def test_a_step_of_the_trace_may_be_longer_than_one_of_the_decisions():
    run = simulate.run(who(FIXED), World(traffic(6, 0, duration=1, seconds=60)))
    assert [moment.arrived for moment in run.moments] == [2, 3, 5, 6, 6, 6, 6, 6]
    assert set(run.waits) == {0}


def test_a_new_pod_takes_a_while_to_begin():
    """Six tasks want two pods of two at once; the second comes with the first step's end and its start."""
    run = simulate.run(
        who(replace(POLICY, average_length=3)), World(traffic(6, 0, 0, 0, duration=100), start_seconds=20)
    )
    begun = [15 / 6 * number + wait for number, wait in enumerate(run.waits)]
    assert begun == pytest.approx([0, 2.5, 35, 35, 100, 102.5])


@pytest.mark.parametrize(
    ("policy", "rate", "pods"),
    [
        pytest.param(replace(POLICY, average_length=2), 30, 10, id="20 run at a time, and a pod is for 2"),
        pytest.param(
            replace(POLICY, average_length=None, metrics=(ResourceTarget("cpu", 50, None),)), 15, 10, id="CPU"
        ),
        pytest.param(replace(POLICY, average_length=1), 45, 20, id="no more than the most"),
        pytest.param(replace(POLICY, average_length=2, min_replicas=12), 30, 12, id="no fewer than the fewest"),
    ],
)
def test_a_steady_load_ends_in_the_pods_that_it_needs(policy, rate, pods):
    run = simulate.run(who(policy), World(traffic(*[rate] * 160, duration=10)))
    assert [moment.replicas for moment in run.moments[-20:]] == [pods] * 20
    assert run.never_begun == 0


def test_without_load_the_last_pod_goes_after_the_cooldown_and_stays_away():
    run = simulate.run(who(replace(POLICY, min_replicas=0)), World(traffic(1, *[0] * 79)))
    assert [moment.replicas for moment in run.moments[:3]] == [1, 1, 1]
    gone = [moment.seconds for moment in run.moments if moment.replicas == 0]
    assert gone[0] == 330  # 300 s after the task was last seen: its pod began between the steps at 30 and at 45 s
    assert len(gone) == 59
    assert run.waits == (pytest.approx(35.0),)


def test_a_task_that_comes_when_all_are_gone_wakes_a_pod():
    run = simulate.run(
        who(replace(POLICY, min_replicas=0, behavior=Behavior())),
        World(traffic(*[0] * 40, 1, 0, 0)),
    )
    assert run.waits == (35,)  # to the end of its step, and a pod's start


def test_a_load_that_is_too_much_does_not_end_the_simulation_too_soon_nor_never():
    run = simulate.run(who(replace(FIXED, max_replicas=1)), World(traffic(*[30] * 20)))
    assert run.never_begun == 0
    assert run.moments[-1].seconds == 600
    assert simulate.run(who(FIXED), World(traffic(*[60] * 20))).never_begun == 600


SLOW = traffic(*[0] * 4, *[8] * 10, *[0] * 40, duration=290)


def test_pods_that_are_idle_go_first():
    """A hundred seconds after the burst half of the pods have nothing left; a stranger takes the newest instead."""
    quick = replace(POLICY, timing=replace(POLICY.timing, downscale_window_seconds=0))
    ours = simulate.run(who(quick, grace_seconds=600), World(SLOW))
    keda = simulate.run(who(quick, grace_seconds=600).rival("keda"), World(SLOW))
    assert ours.removed.busy < keda.removed.busy
    assert ours.never_begun == 0


TERMS = Terms(concurrency=1, start_seconds=20, grace_seconds=60)


@pytest.mark.parametrize(
    ("kept", "left", "removed"),
    [
        pytest.param((), [0, 30], Removed(0, 0), id="the one that is idle, if it is known"),
        pytest.param(("pod-1",), [0, 15], Removed(1, 1), id="none that must stay"),
        pytest.param(None, [0, 15], Removed(1, 1), id="else the newest, whatever it runs"),
    ],
)
def test_who_goes_first(kept, left, removed):
    """Of three pods the first and the last are at work."""
    workers = Workers(TERMS, 1)
    queue = Queue(Traffic((Step(0, 1, 1000), Step(36, 1, 20), Step(55, 1, 1000)), 60))
    for replicas, now in ((2, 15), (3, 30), (3, 45)):
        workers.work(queue, now)
        workers.advance(replicas, now, now + 15)
    workers.work(queue, 60)
    assert workers.advance(2, 60, 75, kept) == removed
    assert [worker.born_at for worker in workers.all] == left


@pytest.mark.parametrize(("grace", "seconds", "cut_off"), [(60, 40, 0), (10, 25, 1)])
def test_a_pod_that_goes_stays_until_its_task_is_done_or_its_grace_is_over(grace, seconds, cut_off):
    workers = Workers(TERMS._replace(grace_seconds=grace), 1)
    workers.work(Queue(Traffic((Step(0, 1, 40),), 15)), 15)
    assert workers.advance(0, 15, 30) == Removed(1, cut_off)
    assert workers.gone_seconds == seconds


@pytest.mark.parametrize(("until", "count"), [(0, 0), (0.1, 1), (5, 1), (5.1, 2), (100, 3), (-1, 0)])
def test_tasks_of_a_batch_come_one_by_one(until, count):
    assert Batch(begins_at=0, gap_seconds=5, tasks=3, duration_seconds=1).arrived(until) == count


def test_no_peak_is_lost_in_a_picture():
    points = [(x, 9.0 if x == 500 else 1.0) for x in range(1000)]
    thin = drawing.thinned(points)
    assert len(thin) <= drawing.POINTS
    assert max(y for _, y in thin) == 9
    assert drawing.thinned(points[:50]) == points[:50]


def test_a_task_is_cut_off_when_the_grace_period_ends_before_it():
    quick = replace(POLICY, timing=replace(POLICY.timing, downscale_window_seconds=0))
    short, long = (who(quick, grace_seconds=grace).rival("keda") for grace in (10, 600))
    assert simulate.run(long, World(SLOW)).removed.cut_off == 0
    cut_off = simulate.run(short, World(SLOW)).removed
    assert 0 < cut_off.cut_off <= cut_off.busy


@pytest.mark.parametrize("seconds", [120, 1800])
@pytest.mark.parametrize("load", ["burst", "daily", "outage"])
def test_no_task_is_cut_off_however_long_it_takes(load, seconds):
    result = simulated(
        Path(__file__).parents[3] / "docs/scaling/queue-4.yaml", "--load", load, "--task-seconds", seconds
    )
    _, names, numbers = (re.split(r"\s{2,}", line.strip()) for line in result.output.splitlines())
    assert dict(zip(reversed(names), reversed(numbers), strict=False))["OFF"] == "0"


def test_keda_does_not_see_what_runs():
    """Ten tasks run all the time and none waits: we keep the pods for them, KEDA does not."""
    world = World(traffic(*[15] * 200, duration=10))
    assert min(moment.replicas for moment in simulate.run(OURS, world).moments[40:]) >= 3
    assert min(moment.replicas for moment in simulate.run(OURS.rival("keda"), world).moments[40:]) < 3


def test_keda_goes_to_zero_and_wakes_up():
    nobody = who(replace(POLICY, min_replicas=0)).rival("keda")
    run = simulate.run(nobody, World(traffic(1, *[0] * 60, 1, *[0] * 4)))
    counts = {moment.seconds: moment.replicas for moment in run.moments}
    assert counts[15] == 0  # it looks at 30
    assert {counts[seconds] for seconds in range(30, 330, 15)} == {1}
    assert {counts[seconds] for seconds in range(330, 930, 15)} == {0}
    assert counts[930] == 1
    assert run.never_begun == 0


def test_keda_keeps_the_fewest():
    run = simulate.run(OURS.rival("keda"), World(traffic(*[0] * 60)))
    assert {moment.replicas for moment in run.moments} == {1}


def test_cpu_alone_keeps_one_pod():
    rival = who(replace(POLICY, min_replicas=0)).rival("hpa-cpu")
    assert {moment.replicas for moment in simulate.run(rival, World(traffic(*[0] * 60))).moments} == {1}


def test_cpu_may_be_said_for_each_task():
    by_cpu = who(replace(POLICY, average_length=None, metrics=(ResourceTarget("cpu", 50, None),)))
    world = World(traffic(*[15] * 160, duration=10))
    idle = simulate.run(by_cpu, world._replace(cpu_per_task=50))
    assert idle.moments[-1].replicas < simulate.run(by_cpu, world).moments[-1].replicas


@settings(max_examples=40, deadline=None)
@given(
    arrivals=some.lists(some.integers(0, 40), min_size=1, max_size=40),
    duration=some.sampled_from([0.1, 3, 20, 100]),
    lowest=some.integers(0, 3),
    rival=some.sampled_from(["", "keda", "hpa-cpu"]),
)
def test_every_task_begins_once_in_its_turn(arrivals, duration, lowest, rival):
    contender = who(replace(POLICY, min_replicas=lowest))
    contender = contender.rival(rival) if rival else contender
    given_traffic = traffic(*arrivals, duration=duration)
    run = simulate.run(contender, World(given_traffic))
    came = [batch.begins_at + batch.gap_seconds * n for batch in given_traffic.batches() for n in range(batch.tasks)]
    begun = [at + wait for at, wait in zip(came, run.waits, strict=False)]
    assert len(run.waits) + run.never_begun == given_traffic.arrivals
    assert min(run.waits, default=0) >= 0
    assert all(after >= before - 1e-9 for before, after in pairwise(begun))
    most = max(contender.policy.max_replicas, 1) * contender.policy.concurrency
    assert max(Counter(int(at // duration) for at in begun).values(), default=0) <= 2 * most
    assert run.removed.cut_off <= run.removed.busy


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_a_shape_is_as_large_as_is_said_and_the_same_for_the_same_seed(shape):
    amount = Amount(tasks_per_second=2, task_seconds=[1], hours=24, seed=1)
    made = shapes.traffic(shape, amount)
    assert made == shapes.traffic(shape, amount)
    assert made != shapes.traffic(shape, amount._replace(seed=2))
    assert made.arrivals == pytest.approx(2 * 86400, rel=0.02)
    assert made.end_seconds == 86400


def test_an_outage_holds_up_what_then_comes_at_once():
    steps = shapes.traffic("outage", Amount(2, [1], 4, 0)).steps
    counts = [step.arrivals for step in steps]
    assert counts[384:504] == [0] * 120
    assert sum(counts[504:535]) / 31 == pytest.approx(4.75 * sum(counts[:384]) / 384, rel=0.1)


def test_by_night_there_is_less_than_by_day():
    counts = [step.arrivals for step in shapes.traffic("daily", Amount(2, [1], 24, 0)).steps]
    hours = [sum(counts[240 * hour : 240 * hour + 240]) for hour in range(24)]
    assert hours.index(max(hours)) in range(14, 18)
    assert hours.index(min(hours)) in range(2, 6)


RUN = Run(
    name="shop/worker",
    kind="reconciler",
    moments=(Moment(15, 3, 2, 4.0, 1), Moment(30, 3, 0, 9.5, 2), Moment(45, 3, 0, 0.0, 2), Moment(60, 3, 0, 0.0, 1)),
    waits=(0.0, 4.0, 9.5),
    never_begun=0,
    pod_hours=0.5,
    removed=Removed(2, 1),
)


ROW = ["shop/worker", "3", "2", "4.0", "9.5", "9.5", "9.5", "1", "1.5", "2", "0.5", "2", "2", "1", "0"]


def test_the_table_has_a_row_for_each():
    [above, head, row, other] = summary.table([RUN, replace(RUN, name="keda", waits=())]).splitlines()
    assert re.split(r"\s{2,}", row) == ROW
    assert re.split(r"\s{2,}", other)[:4] == ["keda", "0", "2", "0.0"]
    assert len(re.split(r"\s{2,}", head)) == 15
    assert above.split() == ["WAIT", "PODS", "POD-", "BUSY", "CUT", "NEVER"]


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (95, 10), (99, 10), (100, 10), (1, 1), (10, 1), (11, 2)])
def test_a_percentile_is_one_of_the_values(percent, value):
    assert summary.percentile(range(1, 11), percent) == value


def group(**spec):
    return Component("worker", {"concurrency": 4, "terminationGracePeriodSeconds": 60, **spec})


SCALING = {"minReplicas": 1, "maxReplicas": 8, "cooldownSeconds": 300, "paused": False, "engine": "Reconciler"}


def test_a_contender_is_what_the_group_says():
    scaling = SCALING | {"queue": {"averageLength": 8}, "memory": {"averageUtilization": 80}, "engine": "KEDA"}
    made = Contender.of("a/b", group(scaling=scaling, resources={"requests": {"cpu": "250m"}}))
    assert (made.kind, made.cpu_request, made.grace_seconds) == ("keda", 250, 60)
    assert (made.policy.average_length, made.policy.metrics) == (8, ())


def test_a_group_that_does_not_scale_stays_as_it_is():
    made = Contender.of("a/b", group(replicas=3))
    run = simulate.run(made, World(traffic(*[100] * 20)))
    assert {moment.replicas for moment in run.moments} == {3}


def simulated(*args):
    return CliRunner().invoke(cli.main, ["simulate", *map(str, args)])


def test_the_command_prints_a_row_for_each_and_draws(tmp_path):
    picture = tmp_path / "run.svg"
    quick = ("--load", "burst", "--hours", "0.5", "--against", "hpa-cpu", "--against", "keda", "-o", picture)
    result = simulated(EXAMPLES / "shop/app.yaml", *quick)
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.output.splitlines()[1:]] == ["WHO", "shop/worker", "hpa-cpu", "keda"]
    text = picture.read_text()
    assert text.startswith("<?xml")
    assert ">shop/worker<" in text
    assert len(text) < 60_000
    again = tmp_path / "again.svg"
    simulated(EXAMPLES / "shop/app.yaml", *quick[:-1], again)
    assert again.read_text() == text


def test_the_command_draws_png_too(tmp_path):
    simulated(EXAMPLES / "shop/app.yaml", "--hours", "0.2", "-o", tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_reads_traces(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("seconds,arrivals,duration_seconds\n0,7,1\n60,0,1\n")
    result = simulated(EXAMPLES / "shop/app.yaml", "--load", trace)
    assert result.output.splitlines()[2].split()[:2] == ["shop/worker", "7"]


def test_several_files_are_compared(tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text((EXAMPLES / "shop/app.yaml").read_text().replace("averageLength: 8", "averageLength: 4"))
    result = simulated(EXAMPLES / "shop/app.yaml", other, "--hours", "0.2")
    assert [line.split("  ")[0] for line in result.output.splitlines()[2:]] == ["shop/worker", "other.yaml shop/worker"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files = [tmp_path / folder / "app.yaml" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        copy(EXAMPLES / "shop/app.yaml", file)
    result = simulated(*files, "--hours", "0.2")
    assert [line.split("  ")[0] for line in result.output.splitlines()[2:]] == [
        "shop/worker",
        "two/app.yaml shop/worker",
    ]


def test_the_table_fits_120_columns():
    name, waits = "other.yaml shop/worker", (999.9,) * 100_000
    table = summary.table([replace(RUN, name=name, waits=waits, pod_hours=999.9)])
    assert max(map(len, table.splitlines())) <= 120


def test_a_color_belongs_to_who_scales():
    ours, hpa, keda = (replace(RUN, kind=kind) for kind in ("reconciler", "hpa", "keda"))
    assert [*drawing.colors([ours, hpa, keda])] == ["C0", "C1", "C2"]
    assert [*drawing.colors([ours, keda, hpa])] == ["C0", "C2", "C1"]
    assert [*drawing.colors([ours, ours, ours, keda])] == ["C0", "C3", "C4", "C2"]


@pytest.mark.parametrize("most", [1, 3, 10, 25])
def test_pods_are_counted_in_whole_numbers(most, tmp_path):
    moments = tuple(Moment(15.0 * number, number, 0, 0.0, number % (most + 1)) for number in range(1, 60))
    drawing.save([replace(RUN, moments=moments)], tmp_path / "a.svg")
    pods = re.search(r'id="axes_4".*?id="matplotlib.axis_8".*', (tmp_path / "a.svg").read_text(), re.DOTALL)[0]
    ticks = re.findall(r">(\d+(?:\.\d+)?)</text>", pods.partition('id="matplotlib.axis_8"')[2])
    assert len(ticks) >= 2
    assert all(tick.isdigit() for tick in ticks)


@pytest.mark.parametrize("picture", ["a.svg", "a.png"])
def test_a_picture_that_cannot_be_written_whole_leaves_the_one_before(picture, tmp_path):
    (tmp_path / picture).write_text("before")
    command = f"ulimit -f 4; $0 simulate {EXAMPLES}/shop/app.yaml --hours 0.1 -o {picture}"
    program = Path(sys.executable).with_name("celery-reconcile")
    ended = subprocess.run(["sh", "-c", command, program], cwd=tmp_path, capture_output=True, check=False, text=True)
    assert (ended.returncode, ended.stderr) == (1, f"{picture}: File too large\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(picture, "before")]


def test_what_is_not_simulated_is_said(tmp_path):
    app = tmp_path / "app.yaml"
    text = (EXAMPLES / "shop/app.yaml").read_text()
    app.write_text(text.replace("queue: {averageLength: 8}", "memory: {averageValue: 1Gi}"))
    result = simulated(app, "--hours", "0.2")
    assert result.stderr == "shop/worker: memory is not simulated, so scaling by it is left out\n"


ON_REDIS = "broker: {url: redis://redis.shop/0}"
UNASKED = {
    "Amazon SQS": ("broker: {url: sqs://}", "", True),
    "in a Secret": ("broker: {type: SQS, urlFrom: {secretKeyRef: {name: sqs, key: url}}}", "", True),
    "no remote control": (f"{ON_REDIS}, settings: {{worker_enable_remote_control: false}}", "", True),
    "KEDA asks nobody": (f"{ON_REDIS}, settings: {{worker_enable_remote_control: false}}", "engine: KEDA, ", False),
    "workers that tell": (ON_REDIS, "", False),
}


@pytest.mark.parametrize(("fields", "engine", "is_said"), UNASKED.values(), ids=UNASKED)
def test_that_workers_cannot_be_asked_is_not_simulated(fields, engine, is_said, tmp_path):
    app = tmp_path / "app.yaml"
    scaling = f"{{{engine}maxReplicas: 2, queue: {{averageLength: 4}}}}"
    app.write_text(
        "{apiVersion: celeryproject.org/v1alpha1, kind: CeleryApp, metadata: {name: shop}, "
        f"spec: {{image: a, app: a, {fields}, workers: [{{name: worker, queues: [a], scaling: {scaling}}}]}}}}"
    )
    words = "workers that cannot be asked what they run are not simulated, so pods go as if they told"
    result = simulated(app, "--hours", "0.2", "--against", "hpa-cpu")
    assert result.exit_code == 0, result.output
    assert result.stderr == (f"shop/worker: {words}\n" if is_said else "")


REFUSED = {
    "no file": (("nothing.yaml",), 1, "nothing.yaml: does not exist"),
    "no trace": (
        (EXAMPLES / "shop/app.yaml", "--load", "stedy"), 1,
        "stedy: is no load: write steady, daily, burst, outage, or the file of a trace",
    ),
    "a trace and a shape": (
        (EXAMPLES / "shop/app.yaml", "--load", "trace.csv", "--hours", "2", "--task-seconds", "10"), 2,
        "Error: a trace says itself what comes when, so leave out --hours, --task-seconds",
    ),
    "several groups": (
        (EXAMPLES / "rabbitmq/app.yaml",), 1,
        f"{EXAMPLES}/rabbitmq/app.yaml: spec.workers: say which group with --group: fast, reports",
    ),
    "no such group": (
        (EXAMPLES / "shop/app.yaml", "-g", "mial"), 1,
        f"{EXAMPLES}/shop/app.yaml: spec.workers: there is no group mial, only worker, mail",
    ),
    "no picture": (
        (EXAMPLES / "shop/app.yaml", "-o", "run.pdf"), 2, "Error: -o needs a name that ends in .svg or .png"
    ),
    "no folder": (
        (EXAMPLES / "shop/app.yaml", "-o", "/no/such/folder/run.svg"), 2,
        "Error: -o needs a folder that is there: /no/such/folder is none",
    ),
    "a trace in place of an app": (
        (DOCS / "scaling/nightly.csv",), 1,
        f'{DOCS}/scaling/nightly.csv:1: is "seconds,arrivals,…": write a CeleryApp (apiVersion, kind, metadata, spec)',
    ),
    "no trace but a folder": (
        (EXAMPLES / "shop/app.yaml", "--load", EXAMPLES), 1,
        f"{EXAMPLES}: is a folder: write the file of a trace in it",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("args", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_simulated_is_refused(args, code, message):
    result = simulated(*args)
    assert result.exit_code == code
    assert result.output.splitlines()[-1] == message


SHOWN = re.findall(
    r"```console\n\$ celery-reconcile simulate ((?!app).*)\n((?:.+\n)+)```", (DOCS / "scaling.md").read_text()
)


@pytest.mark.parametrize(("args", "shown"), SHOWN, ids=[args for args, _ in SHOWN])
def test_the_docs_show_what_is_printed(monkeypatch, tmp_path, args, shown):
    copytree(DOCS / "scaling", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    assert simulated(*args.split()).output == shown
    pictures = {path.name: path for path in tmp_path.glob("*.svg")}
    assert pictures.keys() == {path.name for path in (DOCS / "scaling").glob("*.svg")}
    for path in pictures.values():
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert path.stat().st_size < 60_000


def test_the_docs_explain_what_is_never_begun():
    [explained] = re.findall(r"\| column \| meaning \|\n((?:\|.*\n)+)", (DOCS / "scaling.md").read_text())
    assert {"BACKLOG", "POD-HOURS", "CHANGES", "BUSY TASKS", "CUT OFF", "NEVER BEGUN"} <= {
        row.split(" | ")[0][2:] for row in explained.splitlines()
    }


def test_the_docs_show_runs():
    assert len(SHOWN) == 5


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    monkeypatch.delitem(__import__("sys").modules, "matplotlib", raising=False)
    result = simulated(EXAMPLES / "shop/app.yaml", "-o", "run.svg")
    assert result.output.splitlines()[-1] == "Error: -o needs matplotlib: pip install 'celery-render[simulate]'"
