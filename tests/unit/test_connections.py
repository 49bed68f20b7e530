"""One limit on connections over threads and processes, whatever becomes of them."""

import signal
import subprocess
import sys
import threading
import time

from astromae.survey.connections import ConnectionLimit

HOLD = """
import sys, time
from astromae.survey.connections import ConnectionLimit
with ConnectionLimit(sys.argv[1], 1).place():
    print("held", flush=True)
    time.sleep(60)
"""


def test_never_more_than_the_places(tmp_path):
    limits = [ConnectionLimit(tmp_path, 3) for _ in range(8)]
    lock, now, most = threading.Lock(), [0], [0]

    def work(limit):
        for _ in range(3):
            with limit.place():
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                time.sleep(0.02)
                with lock:
                    now[0] -= 1

    threads = [threading.Thread(target=work, args=(limit,)) for limit in limits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [3] and now == [0]


def test_a_killed_process_leaves_its_place(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    taken = threading.Event()

    def take():
        with ConnectionLimit(tmp_path, 1).place():
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    assert not taken.wait(0.3)
    holder.send_signal(signal.SIGKILL)
    assert taken.wait(5)
    thread.join()
    holder.wait()
    holder.stdout.close()
