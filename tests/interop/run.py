"""run.py: runs the tests beside it, one line each, and counts them. See run.sh."""

import sys
import unittest


class Lines(unittest.TextTestResult):
    def startTest(self, test):
        unittest.TestResult.startTest(self, test)

    def line(self, word, test):
        self.stream.writeln(f'{word:5} {test.shortDescription()}')
        self.stream.flush()

    def addSuccess(self, test):
        self.line('ok', test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line('FAIL', test)

    def addError(self, test, err):
        super().addError(test, err)
        self.line('ERROR', test)


def main():
    tests = unittest.defaultTestLoader.discover(sys.path[0])
    if len(sys.argv) > 1:
        loader = unittest.TestLoader()
        loader.testNamePatterns = [f'*{word}*' for word in sys.argv[1:]]
        tests = loader.discover(sys.path[0])
    result = unittest.TextTestRunner(sys.stdout, resultclass=Lines, verbosity=0).run(tests)
    failed = len(result.failures) + len(result.errors) + len(result.skipped)
    print(f'{result.testsRun - failed} passed, {failed} failed')
    sys.exit(failed > 0 or result.testsRun == 0)


main()
