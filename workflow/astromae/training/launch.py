"""torchrun with the workflow's exit status.

torchrun ends with status 1 whatever its workers ended with; here the status of workers that all ended alike is
handed on, so that a training that stopped to be continued still says so.

    python -m astromae.training.launch --standalone --nproc-per-node 4 --no-python python -m astromae pretrain ...
"""

import os
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun


def main() -> None:
    """Run torchrun with the arguments of the command line."""
    try:
        torchrun(sys.argv[1:])
    except SignalException:
        # Its workers had the signal too, and have saved their state.
        sys.exit(os.EX_TEMPFAIL)
    except ChildFailedError as error:
        statuses = {failure.exitcode for failure in error.failures.values()}
        # A negative status is a signal: of those that torchrun ended because another one failed.
        own = {status for status in statuses if status > 0}
        sys.exit(own.pop() if len(own) == 1 else 1)


if __name__ == "__main__":
    main()
