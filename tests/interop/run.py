"""run.py: runs the tests beside it, one line each, prints what they show of the matrix, and counts them. See run.sh."""

import os
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


def each(tests):
    for test in tests:
        yield from each(test) if isinstance(test, unittest.TestSuite) else (test,)


def native(test):
    """Why it cannot be had with sanitizers, or None. See harness.py."""
    method = getattr(test, getattr(test, '_testMethodName', ''), None)
    return getattr(method, 'native', getattr(test, 'native', None))


def main():
    tests = unittest.defaultTestLoader.discover(sys.path[0])
    if len(sys.argv) > 1:
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f'*{word}*' for word in sys.argv[1:]]
        tests = loader.discover(sys.path[0])
    left_out = [test for test in each(tests) if native(test)] if os.environ['SANITIZED'] else []
    tests = unittest.TestSuite(test for test in each(tests) if test not in left_out)
    result = unittest.TextTestRunner(sys.stdout, resultclass=Lines, verbosity=0).run(tests)
    faults = result.matrix.faults() if len(sys.argv) == 1 else []
    print('\n'.join([*result.matrix.lines(), *(f'FAIL  matrix: {fault}' for fault in faults)]))
    for test in left_out:
        print(f'not here: {test.shortDescription()}: {native(test)}')
    failed = len(faults) + len(result.failures) + len(result.errors) + len(result.skipped)
    print(f'{max(result.testsRun - failed, 0)} passed, {failed} failed')
    sys.exit(failed > 0 or result.testsRun == 0)


main()
