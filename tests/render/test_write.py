"""What writing does to a real folder."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from render import write
from render.errors import UnsafeOutput
from render.write import Changes

MARKER = "# ours"


def ours(text="a"):
    return f"{MARKER}\n{text}\n"


LIST = {"kustomization.yaml": ours("resources:\n- mail/\n- shop/")}
FLAT = {"service-a.yaml": ours(), "kustomization.yaml": ours("- service-a.yaml")}
TWO = {f"{app}/{name}": text for app in ["mail", "shop"] for name, text in FLAT.items()}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "deploy" / "out"


def put(directory, files):
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def tree(directory):
    """Return every file by its name; a folder as None, a link as its target."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else None
    return found


def test_a_new_folder_is_made_with_its_parents(out):
    assert write.folder(out, FLAT, MARKER) == Changes(("kustomization.yaml", "service-a.yaml"), (), ())
    assert tree(out) == FLAT


def test_the_files_of_several_apps_lie_in_sub_folders(out):
    assert write.folder(out, TWO, MARKER) == Changes(tuple(sorted(TWO)), (), ())
    assert tree(out) == {"mail": None, "shop": None, **TWO}


def test_a_second_run_has_nothing_to_do_and_keeps_times(out):
    write.folder(out, TWO, MARKER)
    for name in TWO:
        os.utime(out / name, (1, 1))
    assert write.folder(out, TWO, MARKER) == Changes((), (), tuple(sorted(TWO)))
    assert {(out / name).stat().st_mtime for name in TWO} == {1}


def test_only_what_differs_is_written(out):
    write.folder(out, FLAT, MARKER)
    os.utime(out / "service-a.yaml", (1, 1))
    changes = write.folder(out, {**FLAT, "kustomization.yaml": ours("x"), "pdb-a.yaml": ours("y")}, MARKER)
    assert changes == Changes(("kustomization.yaml", "pdb-a.yaml"), (), ("service-a.yaml",))
    assert tree(out) == {**FLAT, "kustomization.yaml": ours("x"), "pdb-a.yaml": ours("y")}
    assert (out / "service-a.yaml").stat().st_mtime == 1


def test_files_written_before_are_removed_when_they_are_not_wanted_any_more(out):
    write.folder(out, {**FLAT, "pdb-a.yaml": ours()}, MARKER)
    assert write.folder(out, FLAT, MARKER) == Changes((), ("pdb-a.yaml",), tuple(sorted(FLAT)))
    assert tree(out) == FLAT


def test_the_folder_of_a_removed_app_goes_with_its_files(out):
    write.folder(out, TWO, MARKER)
    changes = write.folder(out, {name: text for name, text in TWO.items() if name.startswith("shop/")}, MARKER)
    assert changes.removed == ("mail/kustomization.yaml", "mail/service-a.yaml")
    assert sorted(tree(out)) == ["shop", "shop/kustomization.yaml", "shop/service-a.yaml"]


def of(app, folder=""):
    """Return the files of this app's base, all of the same names."""
    labelled = ours(f"metadata:\n  labels:\n    celeryproject.org/app: {app}")
    return {f"{folder}service.yaml": labelled, f"{folder}kustomization.yaml": ours("- service.yaml")}


SHOP = of("shop", "shop/")
SEVERAL = of("blog", "blog/") | SHOP
NO_OTHER = "holds the base of the app {}, which would go: name its file too, choose another folder, or remove it"
IS_INNER = "is the folder of the app {}: name the folder above it, or another"


@pytest.mark.parametrize("action", [write.folder, write.outdated])
@pytest.mark.parametrize(
    ("before", "after", "refusal"),
    [
        pytest.param(of("shop", "shop/"), of("blog", "blog/"), {"/shop": "shop"}, id="another app"),
        pytest.param(of('"on"', "on/"), of("shop", "shop/"), {"/on": "on"}, id="another app, whose name needs quotes"),
        pytest.param(SEVERAL, of("a", "a/"), {"/blog": "blog", "/shop": "shop"}, id="an app where others are"),
        pytest.param(SEVERAL | of("blog", "base/"), SEVERAL, {"/base": "blog"}, id="beside a base that was moved"),
        pytest.param(SEVERAL | of("a", "b/"), SEVERAL, {"/b": "a"}, id="one's folder is another's"),
        pytest.param(of("shop"), of("shop", "shop/"), {"": "shop"}, id="within the folder of an app"),
    ],
)
def test_the_base_of_another_app_stays(out, before, after, refusal, action):
    put(out, before)
    kept = tree(out)
    with pytest.raises(UnsafeOutput) as raised:
        action(out, after, MARKER)
    words = {folder: (NO_OTHER if folder else IS_INNER).format(app) for folder, app in refusal.items()}
    assert str(raised.value) == "\n".join(f"{out}{folder} {text}" for folder, text in words.items())
    assert tree(out) == kept


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({**SHOP, "shop/pdb.yaml": SHOP["shop/service.yaml"]}, SHOP, id="the same app"),
        pytest.param(SEVERAL | of("mail", "mail/"), SEVERAL, id="one less of several"),
        pytest.param(SEVERAL, SHOP, id="one of several"),
        pytest.param(SHOP, SEVERAL, id="several, one of them there before"),
        pytest.param(of("shop", "shop.eu/"), SHOP, id="an app that names its namespace no more"),
        pytest.param(
            {"shop/.kustomization.yaml.celery-render": "", "shop/.pdb.yaml.celery-render": "#"},
            SHOP,
            id="what a kill has left",
        ),
        pytest.param(
            SHOP | {"blog/.kustomization.yaml.celery-render": "", "blog/service.yaml": of("blog")["service.yaml"]},
            SHOP,
            id="a kill in the midst of an app that is no more",
        ),
    ],
)
def test_a_base_gives_way_to_that_of_its_app(out, before, after, line_end):
    put(out, {name: text.replace("\n", line_end) for name, text in before.items()})
    write.folder(out, after, MARKER)
    assert {name: text for name, text in tree(out).items() if text} == after


def test_what_was_written_into_a_sub_folder_by_itself_stays(out):
    inner = SHOP | {"kustomization.yaml": ours('resources:\n- "shop/"')}
    put(out, {f"base/{name}": text for name, text in inner.items()})
    write.folder(out, SHOP | LIST, MARKER)
    assert {name: text for name, text in tree(out / "base").items() if text} == inner


@pytest.fixture
def without_root():
    """Be somebody who may not read every file, for the time of the test."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture
def open_to_all():
    """Return a folder that everybody may enter, unlike pytest's own."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.usefixtures("without_root")
def test_a_file_that_cannot_be_read_is_told_as_such(open_to_all):
    write.folder(open_to_all, FLAT, MARKER)
    (open_to_all / "service-a.yaml").chmod(0)
    with pytest.raises(UnsafeOutput) as refusal:
        write.folder(open_to_all, FLAT, MARKER)
    assert str(refusal.value) == f"{open_to_all}/service-a.yaml: Permission denied"


FOREIGN = {
    "README.md": "mine\n",
    "patch.yaml": f"\n{MARKER}\n",
    "longer.yaml": f"{MARKER} and more\n",
    "empty.yaml": "",
    "mail/notes.txt": "mine\n",
    "overlays/patch.yaml": ours("copied, in a folder that holds no base of ours"),
    "overlays/kustomization.yaml": "mine\n",
    "overlays/prod/service-a.yaml": ours("too deep"),
    "overlays/prod/kustomization.yaml": ours("too deep"),
}


def test_the_files_of_others_stay(out):
    write.folder(out, TWO, MARKER)
    put(out, FOREIGN)
    shop = {name: text for name, text in TWO.items() if name.startswith("shop/")}
    write.folder(out, shop, MARKER)
    assert {name: text for name, text in tree(out).items() if text is not None} == {**shop, **FOREIGN}


def test_a_file_that_is_a_link_is_not_ours(out, tmp_path):
    write.folder(out, FLAT, MARKER)
    put(tmp_path / "elsewhere", {"a.yaml": ours(), "base/kustomization.yaml": ours(), "base/a.yaml": ours()})
    (out / "link.yaml").symlink_to(tmp_path / "elsewhere/a.yaml")
    (out / "base").symlink_to(tmp_path / "elsewhere/base")
    before = tree(tmp_path)
    assert write.folder(out, FLAT, MARKER) == Changes((), (), tuple(sorted(FLAT)))
    assert tree(tmp_path) == before


def test_the_folder_itself_may_be_a_link(out, tmp_path):
    out.mkdir(parents=True)
    (tmp_path / "link").symlink_to(out)
    write.folder(tmp_path / "link", FLAT, MARKER)
    assert tree(out) == FLAT


def test_line_ends_changed_by_git_are_changed_back(out):
    put(out, {name: text.replace("\n", "\r\n") for name, text in FLAT.items()})
    (out / "service-a.yaml").write_bytes(ours().replace("\n", "\r\n").encode())
    assert write.folder(out, FLAT, MARKER).written == ("kustomization.yaml", "service-a.yaml")
    assert (out / "service-a.yaml").read_bytes() == ours().encode()


def a_foreign_file(out):
    put(out, {"service-a.yaml": "mine\n"})
    return f"{out}/service-a.yaml was not written by celery-render: move it away, or choose another folder"


def a_folder_in_place_of_a_file(out):
    (out / "service-a.yaml").mkdir(parents=True)
    return f"{out}/service-a.yaml was not written by celery-render: move it away, or choose another folder"


def a_link_in_place_of_a_file(out):
    put(out, {"../elsewhere.yaml": ours()})
    (out / "service-a.yaml").symlink_to("../elsewhere.yaml")
    return f"{out}/service-a.yaml was not written by celery-render: move it away, or choose another folder"


def a_broken_link_in_place_of_a_file(out):
    out.mkdir(parents=True)
    (out / "service-a.yaml").symlink_to("../nowhere.yaml")
    return f"{out}/service-a.yaml was not written by celery-render: move it away, or choose another folder"


def a_link_in_place_of_a_sub_folder(out):
    (out.parent / "elsewhere").mkdir(parents=True)
    out.mkdir()
    (out / "mail").symlink_to("../elsewhere")
    return f"{out}/mail is no folder, but a file or a link: remove it, or choose another folder"


def a_file_in_place_of_a_sub_folder(out):
    put(out, {"mail": ours()})
    return f"{out}/mail is no folder, but a file or a link: remove it, or choose another folder"


def a_file_in_place_of_the_folder(out):
    put(out.parent, {"out": "mine\n"})
    return f"{out} is a file: name a folder"


def a_second_kustomization(out):
    put(out, {"Kustomization": "resources: []\n"})
    return f"{out}/Kustomization would be a second kustomization: move it away, or choose another folder"


def a_second_kustomization_in_a_sub_folder(out):
    put(out, {"mail/kustomization.yml": "resources: []\n"})
    return f"{out}/mail/kustomization.yml would be a second kustomization: move it away, or choose another folder"


REFUSED = [
    a_foreign_file,
    a_folder_in_place_of_a_file,
    a_link_in_place_of_a_file,
    a_broken_link_in_place_of_a_file,
    a_link_in_place_of_a_sub_folder,
    a_file_in_place_of_a_sub_folder,
    a_file_in_place_of_the_folder,
    a_second_kustomization,
    a_second_kustomization_in_a_sub_folder,
]


@pytest.mark.parametrize("action", [write.folder, write.outdated])
@pytest.mark.parametrize("prepare", REFUSED, ids=[case.__name__.replace("_", " ") for case in REFUSED])
def test_nothing_is_written_where_it_would_harm_what_is_not_ours(out, prepare, action):
    message = prepare(out)
    before = tree(out.parent)
    with pytest.raises(UnsafeOutput) as refusal:
        action(out, {**FLAT, **TWO}, MARKER)
    assert str(refusal.value) == message
    assert tree(out.parent) == before


@pytest.mark.parametrize("name", ["../a.yaml", "/a.yaml", "a/../../b.yaml", "a/b/c.yaml"])
def test_a_file_cannot_lie_outside_of_the_folder(out, name):
    with pytest.raises(UnsafeOutput):
        write.folder(out, {name: ours()}, MARKER)
    assert not out.exists()


def test_a_folder_below_a_file_is_refused(tmp_path):
    put(tmp_path, {"file": "mine\n"})
    with pytest.raises(UnsafeOutput, match="file/out"):
        write.folder(tmp_path / "file/out", FLAT, MARKER)
    assert tree(tmp_path) == {"file": "mine\n"}


def test_what_cannot_be_written_whole_is_not_written_in_part(out):
    write.folder(out, FLAT, MARKER)
    before = tree(out)
    with pytest.raises(UnsafeOutput, match="name too long"):
        write.folder(out, {**FLAT, "service-a.yaml": ours("x"), f"x{'y' * 250}.yaml": ours()}, MARKER)
    assert tree(out) == before


def test_a_check_tells_what_would_change_and_changes_nothing(out):
    write.folder(out, {**FLAT, "pdb-a.yaml": ours()}, MARKER)
    before = tree(out)
    wanted = {**FLAT, "service-a.yaml": ours("x")}
    told = write.outdated(out, wanted, MARKER)
    assert told == Changes(("service-a.yaml",), ("pdb-a.yaml",), ("kustomization.yaml",))
    assert tree(out) == before
    assert write.folder(out, wanted, MARKER) == told
    assert write.outdated(out, wanted, MARKER) == Changes((), (), tuple(sorted(wanted)))


def test_a_check_makes_no_folder(out):
    assert write.outdated(out, FLAT, MARKER) == Changes(tuple(sorted(FLAT)), (), ())
    assert not out.exists()


FOREVER = """
import sys
from pathlib import Path
from render import write
bases = [eval(text) for text in sys.argv[2:4]]
print("running", flush=True)
while True:
    for files in bases:
        write.folder(Path(sys.argv[1]), files, "# ours")
"""


def test_a_kill_at_any_moment_leaves_whole_files_and_no_dangling_list(out):
    """Kill a process that writes an app and two apps in turn, again and again, and look."""
    one, two = apps(shop="a"), apps(blog="b", shop="b")
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", FOREVER, out, repr(one), repr(two)], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            process.kill()
        left = {name: text for name, text in tree(out).items() if text and not name.endswith(write.UNFINISHED)}
        assert all(text in (one.get(name), two.get(name)) for name, text in left.items())
        folders = [line.removeprefix("- ") for line in left.get("kustomization.yaml", "").splitlines()[2:]]
        for folder in folders:
            listed = left[f"{folder}kustomization.yaml"].splitlines()[2:]
            assert {f"{folder}{line.removeprefix('- ')}" for line in listed} <= set(left)
    write.folder(out, one, MARKER)
    assert {name: text for name, text in tree(out).items() if text} == one


def apps(**letters):
    """Return bases of files that an app has with any letter and of files that only it has, and what lists them."""
    found = {}
    for app, letter in letters.items():
        label = f"metadata:\n  labels:\n    celeryproject.org/app: {app}\n"
        files = {f"both-{i}.yaml": ours(label + letter * 300) for i in range(5)} | {
            f"{letter}-{i}.yaml": ours() for i in range(5)
        }
        listing = ours("resources:\n" + "\n".join(f"- {name}" for name in files))
        found |= {f"{app}/{name}": text for name, text in {**files, "kustomization.yaml": listing}.items()}
    return found | {"kustomization.yaml": ours("resources:\n" + "\n".join(f"- {app}/" for app in letters))}
