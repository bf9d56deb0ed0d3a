"""A sweep on a Dask cluster: the same bytes as here, whatever becomes of workers and scheduler."""

import socket
import subprocess
import sys
import warnings

import pytest

from tests.contract.sweeps import (
    LONG,
    TINY,
    at_work,
    complete,
    digests,
    ended,
    environment,
    hidden,
    interrupt,
    runs,
    sweep,
    wait_for,
)

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library's own start and end, which are not ours
        from distributed import LocalCluster  # noqa: PLC0415 - an extra

        with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
            yield made


def test_a_cluster_makes_the_same_bytes_as_processes_here(cluster, tmp_path):
    args = ["--scenario", "week", "--seeds", "3", *TINY]
    code, said = sweep(*args, "--output", "there", "--scheduler", cluster.scheduler_address, cwd=tmp_path)
    assert code == 0, said
    assert "3 of 3 runs complete, 3 computed now" in said
    assert sweep(*args, "--output", "here", "--workers", "1", cwd=tmp_path)[0] == 0
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
    assert len(runs(tmp_path / "there")) == 3


def test_a_worker_of_a_cluster_that_is_killed_costs_its_run_which_is_tried_again(started, cluster, tmp_path):
    args = ["--scenario", "week", "--seeds", "2", *LONG, "--output", "fleet", "--scheduler", cluster.scheduler_address]
    process = started(*args, cwd=tmp_path)
    wait_for(lambda: at_work(tmp_path / "fleet"))
    victim = next(iter(cluster.workers.values())).pid
    subprocess.run(["kill", "-9", str(victim)], check=True)  # noqa: S603, S607 - a worker of ours
    code, said = ended(process)
    assert code == 0, said
    assert [line["status"] for line in runs(tmp_path / "fleet")] == ["complete"] * 2
    assert not hidden(tmp_path / "fleet")


def test_ctrl_c_takes_back_what_a_cluster_has_not_begun_and_a_resume_computes_it(started, cluster, tmp_path):
    args = ["--scenario", "week", "--seeds", "6", *LONG, "--output", "fleet", "--scheduler", cluster.scheduler_address]
    process = started(*args, cwd=tmp_path)
    wait_for(lambda: at_work(tmp_path / "fleet"))
    interrupt(process)
    code, said = ended(process)
    assert code == 130
    assert "of 6 runs are complete in" in said
    assert "Traceback" not in said
    wait_for(lambda: not hidden(tmp_path / "fleet"))  # workers finish what they are at
    made = digests(tmp_path / "fleet")
    assert len(made) < 6
    code, said = sweep(*args, "--resume", cwd=tmp_path)
    assert code == 0, said
    assert f"6 of 6 runs complete, {6 - len(made)} computed now" in said


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_scheduler_that_goes_away_ends_the_sweep_with_one_message_and_it_can_be_resumed(started, tmp_path):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment() | {"PYTHONWARNINGS": ""}}
    dask = [sys.executable, "-m"]
    scheduler = subprocess.Popen(  # noqa: S603 - our own command
        [*dask, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet
    )
    worker = subprocess.Popen(  # noqa: S603 - our own command
        [*dask, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "60"],
        **quiet,
    )
    args = ["--scenario", "week", "--seeds", "3", *LONG, "--output", "fleet"]
    try:
        wait_for(lambda: answers(port))
        process = started(*args, "--scheduler", address, cwd=tmp_path)
        wait_for(lambda: complete(tmp_path / "fleet"))
        scheduler.kill()
        code, said = ended(process)
    finally:
        for started_here in (scheduler, worker):
            started_here.terminate()
            started_here.wait()
    assert code == 1
    assert said.count("error: ") == 1
    assert "the scheduler is gone" in said
    assert "of 3 runs are complete in" in said
    assert "Traceback" not in said
    made = digests(tmp_path / "fleet")
    code, said = sweep(*args, "--workers", "1", "--resume", cwd=tmp_path)
    assert code == 0, said
    assert f"3 of 3 runs complete, {3 - len(made)} computed now" in said


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1:1", "nobody answers at 'tcp://127.0.0.1:1'"),
        ("nowhere", "'nowhere' is no address such as tcp://10.0.0.1:8786"),
    ],
)
def test_a_scheduler_that_is_not_there_is_one_message_and_nothing_has_begun(tmp_path, address, reason):
    args = ["--scenario", "week", "--seeds", "3", *TINY, "--output", "fleet", "--scheduler", address]
    code, said = sweep(*args, cwd=tmp_path)
    assert code == 2
    assert said.startswith(f"error: --scheduler: {reason}")
    assert "Traceback" not in said
    assert not list((tmp_path / "fleet").iterdir())
