"""Generated hostile input for every reader and entry point, and a table of how each case ends.

Nothing is fetched: a name that no folder has is looked for on no network.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
