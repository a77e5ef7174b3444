"""Nothing is timed here: on a busy machine a deadline fails for no reason."""

import hypothesis

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
