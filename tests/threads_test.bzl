"""A macro for tests that ThreadSanitizer should see."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def threads_test(name, data = [], **kwargs):
    """A cc_test that tools/test also runs under ThreadSanitizer.

    Args:
      name: the test.
      data: its data.
      **kwargs: of cc_test.
    """
    cc_test(
        name = name,
        data = data + ["//tests:tsan_suppressions.txt"],
        # Accesses by libraries that were built without ThreadSanitizer say nothing about their order.
        env = {"TSAN_OPTIONS": "halt_on_error=1:ignore_noninstrumented_modules=1:" +
                               "suppressions=tests/tsan_suppressions.txt"},
        tags = ["threads"],
        **kwargs
    )
