"""Workers started in each of the ways in which images start Celery, with the probes that come with it."""

import stat
import venv

import pytest

PROBES = ("startup", "readiness", "liveness")


@pytest.fixture
def on_redis(redis):
    redis.start()
    return {"CELERY_BROKER_URL": redis.url}


@pytest.fixture
def program(folder):
    """Return a function that writes a program into the working directory."""

    def write(name, text):
        path = folder / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


@pytest.fixture
def virtual(folder, celery_bin):
    """Return the folder of the programs of a virtual environment like one in an image: not on the PATH."""
    target = folder / ".venv"
    venv.create(target, symlinks=True)
    [packages] = target.glob("lib/python*/site-packages")
    [installed] = celery_bin.parent.glob("lib/python*/site-packages")
    (packages / "image.pth").write_text(f"{installed}\n")
    celery = target / "bin/celery"
    celery.write_text(f"#!{target}/bin/python3\nimport sys\nfrom celery.__main__ import main\nsys.exit(main())\n")
    celery.chmod(0o755)
    return target / "bin"


def is_well(worker, until):
    until(lambda: worker.well("readiness"), "readiness")
    assert [worker.probe(kind) for kind in PROBES] == ["", "", ""]
    worker.call("wait_for", "the end")
    until((worker.folder / "started").exists, "the start of the task")
    worker.process.terminate()  # it reaches Celery itself: the task may end
    (worker.folder / "the end").touch()
    assert worker.process.wait() == 0
    assert (worker.folder / "ended").exists()


def group(**fields):
    return [{"name": "worker", "concurrency": 1, **fields}]


@pytest.mark.parametrize("command", [["celery"], ["python", "-m", "celery"]], ids=" ".join)
def test_a_program_on_the_path(rendered, run, on_redis, until, command):
    is_well(run(rendered(workers=group(command=command))["worker"], on_redis), until)


def test_the_celery_of_a_virtual_environment(rendered, run, on_redis, until, virtual):
    container = rendered(workers=group(command=[f"{virtual}/celery"]))["worker"]
    assert container["command"][0] == f"{virtual}/python3"
    is_well(run(container, on_redis), until)


def test_ping_of_the_celery_of_a_virtual_environment(rendered, run, redis, until, virtual):
    redis.start()
    workers = group(command=[f"{virtual}/celery"], probe={"type": "Ping"})
    running = run(rendered(broker={"url": redis.url}, workers=workers)["worker"], {})
    until(lambda: running.well("liveness"), "an answer")


WRAPPER = '#!/bin/sh\nexport PYTHONPATH="{folder}/lib:$PYTHONPATH" SHOP_SET=by-the-entrypoint\nexec "$@"\n'
SETTINGS = "import os\nif os.environ.get('SHOP_SET') == 'by-the-entrypoint':\n    FOUND = True\n"


@pytest.mark.parametrize("entrypoint", ["Replace", "Keep"])
def test_a_wrapper_that_sets_the_environment_and_execs(rendered, run, on_redis, until, program, folder, entrypoint):
    (folder / "lib").mkdir()
    (folder / "lib/shop_settings.py").write_text(SETTINGS)
    wrapper = program("entrypoint.sh", WRAPPER.format(folder=folder))
    (folder / "shop.py").write_text(
        "import shop_settings\nassert shop_settings.FOUND\n" + (folder / "shop.py").read_text()
    )
    keep = entrypoint == "Keep"
    fields = {"imageEntrypoint": "Keep"} if keep else {"command": [wrapper, "celery"]}
    container = rendered(workers=group(**fields))["worker"]
    environment = {**on_redis, "SHOP_SET": "by-the-entrypoint", "PYTHONPATH": str(folder / "lib")}
    is_well(run({"command": [wrapper], **container} if keep else container, environment), until)


def test_the_python_path_of_the_image_stays_in_force(rendered, run, on_redis, until, folder):
    """As in Superset's image: `ENV PYTHONPATH=/app/pythonpath` is where it finds its configuration."""
    (folder / "pythonpath").mkdir()
    (folder / "pythonpath/superset_config.py").write_text("FOUND = True\n")
    (folder / "shop.py").write_text("import superset_config\n" + (folder / "shop.py").read_text())
    image = {**on_redis, "PYTHONPATH": str(folder / "pythonpath")}
    is_well(run(rendered(workers=group())["worker"], image), until)


def test_a_script_of_the_users_own_with_a_probe_of_their_own(rendered, run, on_redis, until, program):
    script = program("run", "#!/bin/sh\nexec celery --app=shop:app worker --concurrency=1 --statedb=state.db\n")
    check = program("check", "#!/bin/sh\ntest -e started\n")
    container = rendered(workers=group(concurrency=2, commandLine=[script], probe={"exec": {"command": [check]}}))[
        "worker"
    ]
    running = run(container, on_redis)
    running.call("wait_for", "the end")
    until((running.folder / "started").exists, "the start of the task")
    running.process.terminate()
    (running.folder / "the end").touch()
    assert running.process.wait() == 0


def test_a_custom_pool(rendered, run, on_redis, until, folder):
    (folder / "pools.py").write_text(
        "from celery.concurrency.thread import TaskPool\n\nclass Pool(TaskPool):\n    pass\n"
    )
    workers = group(pool="custom", customPool="pools:Pool")
    environment = {**on_redis, "PYTHONPATH": str(folder)}
    is_well(run(rendered(workers=workers)["worker"], environment), until)


def test_another_app_for_beat(rendered, run, on_redis, until, folder):
    (folder / "clock.py").write_text((folder / "shop.py").read_text())
    beat = run(rendered(workers=[], beat={"app": "clock:app"})["beat"], on_redis)
    until(lambda: list((beat.folder / "celery").iterdir()), "the schedule")
    beat.process.terminate()
    assert beat.process.wait() == 0


def test_what_is_not_there_is_said(rendered, run):
    running = run(rendered(workers=group(command=["no-such-celery"]))["worker"], {})
    assert running.process.wait() == 1
    assert (running.folder / "log").read_text() == "no-such-celery: No such file or directory\n"
