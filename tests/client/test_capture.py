from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.client.syncing import synced, target

import lineal
from lineal.client.capture import code, git, machine, requirements
from lineal.core.records import PageRequest
from lineal.errors import Invalid, Unavailable
from lineal.files.folders import make_folders


def in_tree(*arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def tree() -> None:
    in_tree("init", "-q", "-b", "trunk")
    in_tree("remote", "add", "origin", "https://ana:secret@example.com/x.git")
    Path("train.py").write_text("print(1)\n")
    in_tree("add", ".")
    in_tree("commit", "-q", "-m", "first")


def files_of(run: lineal.Run) -> dict[str, bytes]:
    found = {}
    for file in run.backend.run_files(run.record.key, PageRequest()).items:
        location = run.backend.locate_run_files(run.record.key, [file.digest])[file.digest]
        with run.backend.open(location) as stream:
            found[file.path] = stream.read()
    return found


def test_commit_remote_and_diff_are_recorded_without_credentials(tree):
    Path("train.py").write_text("print(2)\n")
    Path("untracked.py").write_text("secret\n")
    with lineal.init() as run:
        pass
    record = run.backend.run_by_key(run.record.key)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert record.git_commit == head.stdout.strip()
    assert record.git_remote == "https://example.com/x.git"
    assert record.metadata["git"]["branch"] == "trunk"
    files = files_of(run)
    assert b"+print(2)" in files["diff.patch"]
    assert b"secret" not in files["diff.patch"]


def test_a_commit_a_remote_and_a_host_that_are_said_are_recorded(tree, monkeypatch):
    Path("train.py").write_text("print(2)\n")
    monkeypatch.setenv("WANDB_GIT_COMMIT", "0123abc")
    monkeypatch.setenv("WANDB_GIT_REMOTE_URL", "https://ana:secret@example.com/y.git")
    monkeypatch.setenv("WANDB_HOST", "node-7")
    with lineal.init() as run:
        pass
    record = run.backend.run_by_key(run.record.key)
    assert (record.git_commit, record.host) == ("0123abc", "node-7")
    assert record.git_remote == "https://example.com/y.git"
    assert (record.metadata["git"]["commit"], record.metadata["host"]) == ("0123abc", "node-7")
    assert git.DIFF_FILE not in files_of(run)


def test_commit_and_remote_of_an_offline_run_come_home(tree, home):
    lineal.init(mode="offline", project="p", id="a").finish()
    assert not any(result.failures for result in synced(home))
    record = target(home).run("ana", "p", "a")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert record.git_commit == head.stdout.strip()
    assert record.git_remote == "https://example.com/x.git"


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://ana:pw@host/x.git", "https://host/x.git"),
        ("https://ana:p@ss@host/x.git", "https://host/x.git"),
        ("HTTPS://ana:pw@host/x.git", "HTTPS://host/x.git"),
        ("git+ssh2://ana@host:22/x.git", "git+ssh2://host:22/x.git"),
        ("hg::https://ana:pw@host/x", "hg::https://host/x"),
        ("https://host/@scope/x.git", "https://host/@scope/x.git"),
        ("git@host:team/x.git", "git@host:team/x.git"),
        ("file:///srv/a@b/x.git", "file:///srv/a@b/x.git"),
        ("/srv/a@b/x.git", "/srv/a@b/x.git"),
    ],
)
def test_a_remote_is_stored_without_user_and_password(url, stored):
    assert git.without_credentials(url) == stored


def test_a_huge_diff_is_left_out_and_said(tree, monkeypatch, capsys):
    monkeypatch.setattr(git, "DIFF_MAX_BYTES", 10)
    Path("train.py").write_text("print(2)\n" * 100)
    with lineal.init() as run:
        pass
    assert "diff.patch" not in files_of(run)
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.py", "KEY = 'AKIAABCDEFGHIJKLMNOP'\n"),
        ("train.py", "print(2)\n" * 200_000 + "KEY = 'AKIAABCDEFGHIJKLMNOP'\n"),
        ("conf/.env", "PASSWORD=1\n"),
    ],
    ids=["key", "after 1 MiB", "name"],
)
@pytest.mark.parametrize("noprefix", ["false", "true"])
def test_changes_with_a_secret_in_them_are_left_out_and_said(tree, name, text, noprefix, capsys):
    in_tree("config", "diff.noprefix", noprefix)
    write(name)
    in_tree("add", ".")
    in_tree("commit", "-q", "-m", "second", "--allow-empty")
    write(name, text)
    with lineal.init() as run:
        pass
    record = run.backend.run_by_key(run.record.key)
    assert record.git_commit is not None
    assert "diff.patch" not in files_of(run)
    assert "key or password; diff.patch was not saved" in capsys.readouterr().err


@pytest.mark.parametrize("git_root", [None, "/"])
def test_outside_of_any_work_tree_that_of_the_script_counts(
    tree, tmp_path_factory, monkeypatch, git_root
):
    script = str(Path("train.py").resolve())
    monkeypatch.chdir(tmp_path_factory.mktemp("cron"))
    with lineal.init(settings={"program": script, "git_root": git_root}) as run:
        pass
    commit = run.backend.run_by_key(run.record.key).git_commit
    assert (commit is None) is (git_root is not None)


def test_git_can_be_switched_off(tree):
    with lineal.init(settings={"disable_git": True}) as run:
        pass
    record = run.backend.run_by_key(run.record.key)
    assert record.git_commit is None
    assert "git" not in record.metadata


def test_a_tree_without_commits_or_git_is_no_problem(monkeypatch):
    in_tree("init", "-q")
    assert git.state(".") is None
    monkeypatch.setenv("PATH", "")
    assert git.state(".") is None


def test_machine_program_and_packages_are_recorded():
    with lineal.init() as run:
        pass
    files = files_of(run)
    metadata = json.loads(files["wandb-metadata.json"])
    assert metadata["host"] == machine.host_name()
    assert metadata["cpu_count"] >= 1
    assert "startedAt" in metadata
    assert "args" in metadata
    assert metadata == run.backend.run_by_key(run.record.key).metadata
    assert any(line.startswith("pytest==") for line in files["requirements.txt"].decode().split())


def test_names_that_are_not_utf_8_are_recorded_as_escapes(monkeypatch):
    Path("caf\udce9").mkdir()
    monkeypatch.chdir("caf\udce9")
    Path("\udce9.py").write_text("print(1)\n")
    monkeypatch.setattr(sys, "argv", ["train", "data/\udce9"])
    with lineal.init(save_code=True, settings={"program": "\udce9.py"}) as run:
        pass
    record = run.backend.run_by_key(run.record.key)
    assert record.program == r"\udce9.py"
    assert record.metadata["args"] == [r"data/\udce9"]
    assert record.metadata["root"].endswith(r"/caf\udce9")
    assert files_of(run)[r"code/\udce9.py"] == b"print(1)\n"


def test_each_capture_can_be_switched_off():
    settings = {
        "disable_machine_info": True,
        "disable_meta": True,
        "disable_requirements": True,
        "disable_git": True,
        "console": "off",
    }
    with lineal.init(settings=settings) as run:
        print("hello")
    record = run.backend.run_by_key(run.record.key)
    assert (record.host, record.program, record.metadata) == (None, None, {})
    assert files_of(run) == {}


def test_config_and_summary_are_files_too():
    with lineal.init(config={"lr": 0.1}) as run:
        run.log({"loss": 1.0})
    files = files_of(run)
    assert files["config.yaml"] == b'"lr":\n  value: 0.1\n'
    assert json.loads(files["wandb-summary.json"])["loss"] == 1.0


def test_requirements_are_sorted_and_unique():
    found = requirements.installed()
    assert found == sorted(found, key=lambda line: line.partition("==")[0].lower())
    assert len({line.partition("==")[0] for line in found}) == len(found)


# --- code ---------------------------------------------------------------------------------------


def test_the_main_script_is_saved_when_asked():
    Path("train.py").write_text("print(1)\n")
    settings = {"program": "train.py"}
    with lineal.init(save_code=True, settings=settings) as run:
        pass
    assert files_of(run)["code/train.py"] == b"print(1)\n"
    stored = run.backend.run_by_key(run.record.key)
    assert stored.config["_lineal"]["code_path"] == "code/train.py"
    with lineal.init(settings=settings) as other:
        pass
    assert "code/train.py" not in files_of(other)


def test_disable_code_wins_over_everything(tree, capsys):
    Path("train.py").write_text("print(2)\n")
    settings = {"program": "train.py", "disable_code": True}
    with lineal.init(save_code=True, settings=settings) as run:
        assert run.log_code() is None
    assert not {"code/train.py", "diff.patch"} & files_of(run).keys()


def test_log_code_names_what_is_neither_a_name_nor_a_function(tree):
    with lineal.init() as run:
        for given in ({"include_fn": "*.py"}, {"exclude_fn": 5}):
            with pytest.raises(TypeError, match="include_fn and exclude_fn are functions, not"):
                run.log_code(**given)
        with pytest.raises(Invalid, match="Artifact name"):
            run.log_code(name=["code"])


def test_a_script_with_a_key_in_it_is_not_saved(capsys):
    Path("train.py").write_text("KEY = 'AKIAABCDEFGHIJKLMNOP'\n")
    with lineal.init(save_code=True, settings={"program": "train.py"}) as run:
        pass
    assert "code/train.py" not in files_of(run)
    assert "key or password" in capsys.readouterr().err


def write(path: str, text: str = "x = 1\n") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_log_code_takes_sources_and_honours_ignore_files(capsys):
    write("train.py")
    write("pkg/model.py")
    write("pkg/data.bin")
    write("requirements.txt")
    write(".gitignore", "generated/\nno pattern\\\n*_local.py\n")
    write("generated/out.py")
    write("mine_local.py")
    write("pkg/.linealignore", "!kept_local.py\nsecretly.py\n")
    write("pkg/kept_local.py")
    write("pkg/secretly.py")
    write("venv/pyvenv.cfg")
    write("venv/lib/x.py")
    write("__pycache__/y.py")
    write("wandb/z.py")
    write(".env", "PASSWORD=1")
    with lineal.init(project="p", settings={"program": "train.py"}) as run:
        artifact = run.log_code()
        assert artifact is not None
        assert artifact.wait().type == "code"
        assert artifact.name == "source-p-train:v0"
        assert sorted(artifact.manifest.entries) == [
            "pkg/kept_local.py",
            "pkg/model.py",
            "requirements.txt",
            "train.py",
        ]
    assert "captured 4 files" in capsys.readouterr().err


def test_ignore_files_count_where_the_code_is_in_the_root_of_all():
    if os.geteuid() != 0:
        pytest.skip("only root may make a folder the root of all")
    for name in ("train.py", "mine.py", "pkg/model.py"):
        write(f"image/{name}")
    write("image/.gitignore", "/mine.py\npkg/\n")
    script = (
        "import os, pathspec\n"
        "from lineal.client.capture import code\n"
        "os.chroot('image')\n"
        "os.chdir('/')\n"
        "print([name for name, _ in code.select('/').files])\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert answer.stdout.decode() == "['train.py']\n"


def test_log_code_names_an_ignore_file_that_may_not_be_read():
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    write("a.py")
    write(".gitignore", "*_local.py")
    Path(".gitignore").chmod(0)
    with lineal.init(project="p") as run, pytest.raises(Unavailable, match=r"read .*\.gitignore"):
        run.log_code()


def test_log_code_honours_the_ignore_files_of_the_work_tree_above(tree):
    write(".gitignore", "*_local.py\n/pkg/anchored.py\nbuild/\n*.gen.py\n!kept.gen.py\n")
    write(".git/info/exclude", "excluded.py\n")
    names = ("a", "x_local", "anchored", "deep/anchored", "x.gen", "kept.gen", "excluded")
    for name in (*names, "build/b"):
        write(f"pkg/{name}.py")
    kept = ["a.py", "deep/anchored.py", "kept.gen.py"]
    assert [name for name, _ in code.select("pkg").files] == kept
    assert [name for name, _ in code.select(".").files if name.startswith("pkg")] == [
        f"pkg/{name}" for name in kept
    ]


def test_log_code_takes_a_folder_that_is_ignored_when_it_is_named(tree):
    write(".gitignore", "build/\n*.tmp.py\n")
    write("build/sub/a.py")
    write("build/sub/.gitignore", "b.py\n")
    write("build/sub/b.py")
    assert [name for name, _ in code.select("build/sub").files] == ["a.py"]


@pytest.mark.parametrize(
    "text",
    [
        "hf_" + "aB3d" * 9,
        "AIza" + "Sy-_0" * 7,
        "ASIA" + "ABCD" * 4,
        "glpat-" + "a1_-" * 5,
        "github_pat_" + "a1_b" * 20,
        "pypi-AgE" + "abc_-" * 12,
        "wandb_v1_" + "Ab1_" * 12,
        'WANDB_API_KEY = "' + "0123456789" * 4 + '"',
        'wandb.login(key="' + "0123456789" * 4 + '")',
        "export AWS_SECRET_ACCESS_KEY=" + "a/B+" * 10,
    ],
)
def test_well_known_forms_of_keys_are_secrets(text):
    assert code.holds_secret(f"x = 1\n{text}\n".encode())


@pytest.mark.parametrize(
    "text",
    [
        'COMMIT = "' + "0123456789" * 4 + '"',
        'api_key = os.environ["API_KEY"]',
        "api_key = None\nCOMMIT = " + "0123456789" * 4,
        "hf_hub_download(repo_id=name)",
        "wandb.login()",
        "from AIzawa import x",
    ],
)
def test_what_only_resembles_a_key_is_no_secret(text):
    assert not code.holds_secret(text.encode())


def test_log_code_refuses_secrets_and_says_so(capsys):
    write("a.py")
    write("b.py", "-----BEGIN RSA PRIVATE KEY-----\n")
    write(".env", "PASSWORD=1")
    with lineal.init() as run:
        artifact = run.log_code(name="mine", include_fn=lambda path: True)
        assert artifact is not None
        assert sorted(artifact.wait().manifest.entries) == ["a.py"]
    said = capsys.readouterr().err
    assert "left out b.py" in said
    assert "left out .env" in said


@pytest.mark.parametrize("mebibytes", [1, 3])
def test_secrets_far_down_in_a_file_are_found(mebibytes, tmp_path):
    token = b"ghp_" + b"k3J9" * 9
    before = mebibytes * 2**20 - len(token) // 2  # half of it in either piece
    notebook = tmp_path / "plots.ipynb"
    notebook.write_bytes(b"#".ljust(before - 1, b"=") + b" " + token + b"\n")
    assert code.looks_secret(str(notebook))
    notebook.write_bytes(b"#".ljust(before - 1, b"=") + b" " + token[:-9] + b"\n")
    assert not code.looks_secret(str(notebook))


@pytest.mark.parametrize(
    ("root", "said"), [("nope", "nope is no folder"), ("a.py", "a.py is a file, and no folder")]
)
def test_log_code_says_that_its_root_is_no_folder(root, said, capsys):
    write("a.py")
    with lineal.init() as run:
        assert run.log_code(root) is None
    assert f"{said}; nothing was logged" in capsys.readouterr().err


def test_log_code_leaves_out_a_file_whose_name_is_no_unicode_and_says_so(capsys):
    Path("ok.py").write_text("1")
    Path(os.fsdecode(b"bad\xff.py")).write_text("2")
    with lineal.init() as run:
        artifact = run.log_code()
    assert list(artifact.manifest.entries) == ["ok.py"]
    assert "left out a file" in capsys.readouterr().err


def test_log_code_leaves_out_files_that_vanish_meanwhile_and_says_so(capsys):
    for name in "abc":
        write(f"{name}.py")

    def include(path: str) -> bool:
        if path.endswith("b.py"):
            Path("a.py").unlink()
            Path("b.py").unlink()
        return True

    with lineal.init() as run:
        artifact = run.log_code(include_fn=include)
    assert list(artifact.manifest.entries) == ["c.py"]
    said = capsys.readouterr().err
    assert "left out a.py: it is gone" in said
    assert "left out b.py: it is gone" in said
    assert "captured 1 file below" in said


def test_log_code_filters_may_take_the_root():
    write("a.py")
    write("b.txt")
    root = str(Path.cwd())
    chosen = code.select(
        ".",
        include=lambda path, base: base == root and path.endswith("txt"),
        exclude=lambda path: path.endswith("a.py"),
    )
    assert [name for name, _ in chosen.files] == ["b.txt"]


def test_code_is_chosen_in_folders_of_any_depth(deep):
    make_folders(deep)
    write(f"{deep}a.py")
    write(f"{deep}b.py")
    write(f"{deep}.gitignore", "b.py")
    assert [name for name, _ in code.select(".").files] == [f"{deep}a.py"]


def test_log_code_takes_what_links_lead_to():
    Path("src").mkdir()
    Path("common.py").write_text("x = 1\n")
    Path("src/common.py").symlink_to("../common.py")
    Path("src/gone.py").symlink_to("nowhere.py")
    with lineal.init() as run:
        artifact = run.log_code("src")
    assert list(artifact.manifest.entries) == ["common.py"]
    assert artifact.manifest.entries["common.py"].size == 6


def test_log_code_without_sources_warns_and_returns_none(capsys):
    Path("empty").mkdir()
    with lineal.init() as run:
        assert run.log_code("empty") is None
    assert "no source files" in capsys.readouterr().err


def test_code_dir_is_logged_at_init():
    write("src/a.py")
    with lineal.init(settings={"code_dir": "src"}) as run:
        pass
    assert [a.type for a in lineal.Api().run(run.path).logged_artifacts()] == ["code"]


def test_log_code_of_several_folders_makes_one_artifact_that_has_them_all(capsys):
    write("app/train.py", "a = 1\n")
    write("app/same.py")
    write("lib/same.py")
    write("lib/net.py")
    write("other/lib/net.py", "b = 2\n")
    with lineal.init(project="p", settings={"program": "train.py"}) as run:
        for folder in ("app", "lib", "other/lib", "app"):
            artifact = run.log_code(folder)
        own = run.log_code("lib", name="mine")
    assert artifact.name == "source-p-train:v2"
    paths = ["lib/net.py", "net.py", "same.py", "train.py"]
    assert sorted(artifact.manifest.entries) == paths
    assert Path(artifact.get_entry("lib/net.py").download()).read_text() == "b = 2\n"
    assert sorted(own.manifest.entries) == ["net.py", "same.py"]
    said = capsys.readouterr().err
    assert "captured 1 file below" in said
    assert "; with those of other calls 4 in all" in said
