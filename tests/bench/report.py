"""report.py: makes the table of run.sh, or with --gate holds the counts to goals.tsv."""
import pathlib
import re
import subprocess
import sys

BUILDS = {'auto': 'best', 'sse2': 'SSE2', 'none': 'portable'}
KINDS = {'base64': '76-column base64', 'text': 'text, 51 a line', 'dotted': 'all lines dotted',
         'dots': 'nothing but "..CRLF"', 'newlines': 'nothing but CRLF'}
CONTENT = [('memcpy/65536', 'memcpy to 64 KiB'), ('memchr/65536', "memchr('\\n') line by line"),
           ('scalar/65536', 'scalar machine, minimal'), ('decode/65536', 'ehlo_dot_decode, 64 KiB'),
           ('decode/1460', 'ehlo_dot_decode, 1,460'), ('server/65536', 'whole server, 64 KiB'),
           ('server/1460', 'whole server, 1,460'), ('encode/65536', 'ehlo_dot_encode, 64 KiB'),
           ('gather/65536', 'whole client, spans, 64 KiB'), ('body/65536', 'whole client, copied, 64 KiB')]
COMMANDS = [('commands/grammar', 'the grammar alone'), ('commands/server', 'whole server, pipelined'),
            ('commands/server-line-by-line', 'whole server, a line at a time'),
            ('commands/client', 'the client calls and sends them')]
REPLIES = [('replies/grammar', 'the grammar alone, enhanced code too'), ('replies/client', 'whole client'),
           ('replies/client-ehlo', 'whole client, EHLO answer of 11 lines')]


def table(path):
    """name -> number, from lines of the two."""
    return {name: float(number) for name, number in
            (line.split('\t') for line in path.read_text().splitlines())}


def counted(build, simd):
    """name -> instructions for one octet or command, from callgrind's dumps."""
    work = table(build / f'work-{simd}')
    counts = {}
    for dump in build.glob(f'callgrind-{simd}*'):
        text = dump.read_text()
        name = re.search(r'^desc: Trigger: Client Request: (\S+)', text, re.M)
        if name:
            counts[name[1]] = int(re.search(r'^(?:totals|summary): (\d+)', text, re.M)[1]) / work[name[1]]
    missing = set(work) - set(counts)
    if missing:
        raise SystemExit(f'callgrind counted nothing for {", ".join(sorted(missing))}')
    return counts


def sections(path):
    """section -> octets, in a program or in all objects of a library."""
    lines = subprocess.run(['size', '-A', str(path)], check=True, capture_output=True, text=True).stdout.splitlines()
    sums = {}
    for line in lines:
        match = re.match(r'\.(text|rodata|data|bss)\S*\s+(\d+)', line)
        if match:
            sums[match[1]] = sums.get(match[1], 0) + int(match[2])
    return sums


def sizes(build):
    values = table(build / 'sizes')
    library = sections(build / 'small/lib/libehlo.a')
    program = sections(build / 'receiver')
    base = sections(build / 'no-receiver')
    values['code/library'] = library['text'] + library['rodata']
    values['code/instructions'] = program['text'] - base['text']
    values['code/receiver'] = values['code/instructions'] + program['rodata'] - base.get('rodata', 0)
    values['code/writable-data'] = library.get('data', 0) + library.get('bss', 0)
    return values


def print_content(counts, speeds):
    for kind, title in KINDS.items():
        print(f'\n{title:32}' + ''.join(f'{name:>32}' for name in BUILDS.values()))
        print(f'{"":32}' + '     GB/s  x memchr x memcpy ins/o' * len(BUILDS))
        for row, label in CONTENT:
            line = f'  {label:30}'
            for simd in BUILDS:
                speed = speeds[simd][f'{kind}/{row}']
                memchr = speeds[simd][f'{kind}/memchr/65536']
                memcpy = speeds[simd][f'{kind}/memcpy/65536']
                line += (f'{speed / 1e9:9.2f} {speed / memchr:9.2f} {speed / memcpy:8.2f}'
                         f' {counts[simd][f"{kind}/{row}"]:5.2f}')
            print(line)


def print_lines(title, rows, counts, speeds):
    print(f'\n{title:40}' + ''.join(f'{name:>32}' for name in BUILDS.values()))
    print(f'{"":40}' + '        instructions  million/s  ' * len(BUILDS))
    for row, label in rows:
        print(f'  {label:38}' + ''.join(
            f'{counts[simd][row]:20.0f} {speeds[simd][row] / 1e6:10.2f}  ' for simd in BUILDS))


def print_sizes(values):
    print('\noctets')
    for name, label in [('session/default', 'a session of the default config'),
                        ('session/smallest', 'a session of the smallest legal config'),
                        ('code/library', 'the library, -Os: code and constants of its objects'),
                        ('code/receiver', '  of these in a receiving program, --gc-sections'),
                        ('code/instructions', '    of these instructions'),
                        ('code/writable-data', '  writable data')]:
        print(f'  {label:52}{values[name]:8.0f}')


def goals():
    """Rows of goals.tsv: name, build, goal, ceiling."""
    path = pathlib.Path(__file__).with_name('goals.tsv')
    for line in path.read_text().splitlines():
        if line and not line.startswith('#'):
            name, build, goal, *ceiling = line.split('\t')
            yield name, build, float(goal), float(ceiling[0]) if ceiling else float(goal)


def missed(counts, values, by_ceiling):
    """What is above its goal or, if so asked, above its ceiling."""
    for name, build, goal, ceiling in goals():
        number = values[name] if build == '-' else counts[build][name]
        if number > (ceiling if by_ceiling else goal):
            where = '' if build == '-' else f' ({BUILDS[build]})'
            wanted = f'ceiling {ceiling:g}, goal {goal:g}' if by_ceiling else f'goal {goal:g}'
            yield f'  {name + where:40}{number:10.2f}   {wanted}'


def gate(counts, values):
    failures = list(missed(counts, values, by_ceiling=True))
    for line in failures:
        print(line)
    total = len(list(goals()))
    print(f'{total - len(failures)} passed, {len(failures)} failed')
    return 1 if failures else 0


def print_missed(counts, values):
    lines = list(missed(counts, values, by_ceiling=False))
    print('\nabove their goals: ' + ('none' if not lines else ''))
    for line in lines:
        print(line)


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != '--gate']
    build = pathlib.Path(arguments[0])
    counts = {simd: counted(build, simd) for simd in BUILDS}
    values = sizes(build)
    if '--gate' in sys.argv:
        return gate(counts, values)
    speeds = {simd: table(build / f'speed-{simd}') for simd in BUILDS}
    print_content(counts, speeds)
    print_lines('commands: 1,050 octets, 13 of them', COMMANDS, counts, speeds)
    print_lines('replies, one line each', REPLIES, counts, speeds)
    print_sizes(values)
    print_missed(counts, values)
    print('\nGB/s: the best of interleaved rounds, of value as ratios; ins/o: instructions an octet, by callgrind.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
