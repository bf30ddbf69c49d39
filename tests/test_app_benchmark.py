"""What the benchmark of the served app makes of messages and of processor times."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.app_cost import Cpu, cpu, drawings, rest, without_news


def begun(part: str = "") -> bytes:
    message = ForwardMsg()
    message.new_session.name = "app"
    message.metadata.run.fragment_ids.extend([part] if part else [])
    return message.SerializeToString()


def drawn(text: str) -> bytes:
    message = ForwardMsg()
    message.delta.new_element.progress.text = text
    return message.SerializeToString()


def ended() -> bytes:
    message = ForwardMsg()
    message.script_finished = ForwardMsg.FINISHED_SUCCESSFULLY
    return message.SerializeToString()


def test_messages_are_told_apart_by_the_run_that_they_belong_to() -> None:
    first = [begun("a"), drawn("1 %"), drawn("2 %"), ended()]
    second = [begun(), ended()]
    runs = drawings([drawn("of a run before"), ended(), *first, *second, begun("b"), drawn("not yet whole")])
    assert [run.part for run in runs] == [("a",), ()]
    assert [run.frames for run in runs] == [4, 2]
    assert [run.size for run in runs] == [sum(map(len, first)), sum(map(len, second))]


def test_a_run_without_news_draws_what_the_same_part_drew_before() -> None:
    def messages(part: str, text: str) -> list[bytes]:
        return [begun(part), drawn(text), ended()]

    texts = [("a", "1 %"), ("b", "waiting"), ("a", "2 %"), ("b", "waiting"), ("a", "2 %"), ("a", "1 %"), ("c", "1 %")]
    runs = drawings([message for part, text in texts for message in messages(part, text)])
    assert [runs.index(run) for run in without_news(runs)] == [1, 2]
    assert [run.part for run in without_news(runs)] == [("b",), ("a",)]


def test_the_screen_is_what_no_thread_that_computes_took() -> None:
    # In 10 s: one thread computed for 8 s, one for 0.5 s, one that is new for 3 s; all else took 1 s.
    before = Cpu(at=100.0, total=50.0, threads={1: 20.0, 2: 5.0})
    after = Cpu(at=110.0, total=62.5, threads={1: 28.0, 2: 5.5, 3: 3.0})
    assert after.since(before) == pytest.approx(12.5)
    assert after.screen_since(before) == pytest.approx(1.0)


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="no /proc")
def test_the_time_of_children_and_of_their_threads_is_counted() -> None:
    code = (
        "import os, threading\n"
        "def spin():\n"
        " os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + 5)\n"
        " while True: pass\n"
        "threading.Thread(target=spin).start()\n"
        "input()"
    )
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    process = subprocess.Popen([sys.executable, "-c", parent, code], stdin=subprocess.PIPE)
    try:
        before = cpu(process.pid)
        while not any(seconds > 0.5 for seconds in cpu(process.pid).threads.values()):
            time.sleep(0.05)
        after = cpu(process.pid)
        assert after.since(before) > 0.4
        assert after.screen_since(before) < after.since(before) / 2
    finally:
        for child in map(int, subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(process.pid)]).split()):
            os.kill(child, 9)
        process.wait()


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="no /proc")
def test_rest_comes_when_a_process_has_done_its_work() -> None:
    code = "import time\nprint(flush=True)\nwhile time.process_time() < 1.5: pass\ninput()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        rest(process.pid)
        assert cpu(process.pid).total >= 1.4, "not before it was through"
    finally:
        process.kill()
        process.communicate()
