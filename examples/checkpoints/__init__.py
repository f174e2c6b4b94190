# SPDX-FileCopyrightText: The longrunning authors
# SPDX-License-Identifier: Apache-2.0
"""A handler that goes on where it was killed.

    python -m examples.checkpoints

It adds numbers up in blocks, and leaves a checkpoint after each. Its process is killed twice in the middle of one, and
started again. The sum is right, and the log shows what "at least once" means: a block under way is done again, those before
are not.
"""
