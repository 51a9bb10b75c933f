"""run.py: runs the tests beside it, one line each, prints what they show of the matrix, and counts them. See run.sh."""

import sys
import unittest

from matrix import Matrix


class Lines(unittest.TextTestResult):
    matrix = Matrix()

    def startTest(self, test):
        unittest.TestResult.startTest(self, test)

    def line(self, word, test):
        self.stream.writeln(f'{word:5} {test.shortDescription()}')
        self.stream.flush()

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.matrix.note(test, False)

    def addSuccess(self, test):
        self.matrix.note(test, True)
        self.line('ok', test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.matrix.note(test, False)
        self.line('FAIL', test)

    def addError(self, test, err):
        super().addError(test, err)
        self.matrix.note(test, False)
        self.line('ERROR', test)


# Real programs have clocks of their own, and other things run on this machine beside them: what failed is tried once
# more, by itself, and said to have been. When more than these fail it is no accident.
SECOND_TRIES = 5


def try_again(result):
    """Returns how many of the failures are left."""
    failures = [*result.failures, *result.errors]
    tests = {test.id(): test for test, _ in failures for test in [getattr(test, 'test_case', test)]}
    if not 0 < len(tests) <= SECOND_TRIES or not all(isinstance(test, unittest.TestCase) for test in tests.values()):
        return len(failures)
    print(f'{len(tests)} of them once more:')
    again = [type(test)(test._testMethodName) for test in tests.values()]
    for test in again:
        result.matrix.forget(test)
    second = unittest.TextTestRunner(sys.stdout, resultclass=Lines, verbosity=0).run(unittest.TestSuite(again))
    return len(second.failures) + len(second.errors)


def main():
    tests = unittest.defaultTestLoader.discover(sys.path[0])
    if len(sys.argv) > 1:
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f'*{word}*' for word in sys.argv[1:]]
        tests = loader.discover(sys.path[0])
    result = unittest.TextTestRunner(sys.stdout, resultclass=Lines, verbosity=0).run(tests)
    left = try_again(result)
    faults = result.matrix.faults() if len(sys.argv) == 1 else []
    print('\n'.join([*result.matrix.lines(), *(f'FAIL  matrix: {fault}' for fault in faults)]))
    failed = len(faults) + left + len(result.skipped)
    print(f'{max(result.testsRun - failed, 0)} passed, {failed} failed')
    sys.exit(failed > 0 or result.testsRun == 0)


main()
