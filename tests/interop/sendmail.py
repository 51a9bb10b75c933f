"""sendmail.py: how sendmail is started for tests, as a server and as a client.

Its sendmail.cf is what follows and not what its m4 makes: no field is added but Received, no address is rewritten, and
all mail goes to one mailer. Without rules of its own for that it takes mail for everybody.
"""

import os
import re

PROGRAM = os.environ['SENDMAIL']
# If the machine's name has no domain, it sleeps for a minute first.
ENVIRONMENT = {**os.environ, 'LD_PRELOAD': os.environ['SHIM'], 'SHIM_HOSTNAME': 'machine.example'}

# An address comes with its angle brackets, and goes without them.
CONFIGURATION = '''V10/Berkeley
Dj{name}
DnMAILER-DAEMON
O DontBlameSendmail=TrustStickyBit
O QueueDirectory={directory}/queue
O PidFile={directory}/pid
O ServiceSwitchFile={directory}/services
O DontProbeInterfaces=true
O EightBitMode=pass8
O LogLevel=0
O RefuseLA=10000
O QueueLA=10000
O BadRcptThrottle=0
O Timeout.ident=0
{options}
HReceived: from $s by $j id $i; $b
Scanonify=3
R$* < > $*	$@ <@>
R$* < $+ > $*	$2
Sfinal=4
R<@>	$@
{rules}
Mprog, P=/bin/false, A=false
'''


def configure(directory, name, options, rules):
    """What it is started by. `options` and `rules`: further lines; of these a mailer that is called local, at least."""
    os.makedirs(f'{directory}/queue')
    for file_name, text in {'services': 'hosts files\n',
                            'cf': CONFIGURATION.format(directory=directory, name=name, rules=rules,
                                                       options=re.sub('(?m)^', 'O ', options))}.items():
        with open(f'{directory}/{file_name}', 'w') as file:
            file.write(text)
    return [PROGRAM, '-C', f'{directory}/cf', '-bD']
