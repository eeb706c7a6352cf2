"""Shared pieces of the bench harness (Python 3 standard library only)."""
import json, os, re, signal, socket, subprocess, sys, time, statistics, shutil, threading
HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(HERE))), 'build/bench-edge')

def build():
    os.makedirs(BIN, exist_ok=True)
    for n, libs in (('lg', ['-lssl', '-lcrypto']), ('rawhttp', [])):
        s, o = os.path.join(HERE, 'src', n + '.cc'), os.path.join(BIN, n)
        if os.path.exists(s) and (not os.path.exists(o) or os.path.getmtime(o) < os.path.getmtime(s)):
            subprocess.check_call(['g++', '-O2', '-o', o, s] + libs)

def subst(t, v):
    return re.sub(r'@@(\w+)@@', lambda m: str(v[m.group(1)]) if m.group(1) in v else m.group(0), t)

def tree(pid):
    """pid and all its descendants"""
    kids = {}
    for d in os.listdir('/proc'):
        if d.isdigit():
            try:
                f = open('/proc/%s/stat' % d).read()
                kids.setdefault(int(f[f.rindex(')') + 2:].split()[1]), []).append(int(d))
            except OSError: pass
    out, waiting = [], [pid]
    while waiting:
        p = waiting.pop(); out.append(p); waiting += kids.get(p, [])
    return out

def cpu_s(pids):
    """CPU seconds: sum of the threads' exact run time (schedstat), else ticks of /proc/PID/stat."""
    t = 0.0
    for p in pids:
        try:
            ns = 0
            for th in os.listdir('/proc/%d/task' % p):
                ns += int(open('/proc/%d/task/%s/schedstat' % (p, th)).read().split()[0])
            t += ns / 1e9
        except OSError: pass
    return t

def cpu_ticks(pids):
    """user, sys CPU seconds incl. reaped children, from /proc/PID/stat (10 ms ticks)."""
    u = s = 0
    for p in pids:
        try:
            f = open('/proc/%d/stat' % p).read(); f = f[f.rindex(')') + 2:].split()
            u += int(f[11]) + int(f[13]); s += int(f[12]) + int(f[14])
        except OSError: pass
    hz = os.sysconf('SC_CLK_TCK'); return u / hz, s / hz

def rss_kb(pids):
    r = 0
    for p in pids:
        try:
            for l in open('/proc/%d/smaps_rollup' % p):
                if l.startswith('Pss:'): r += int(l.split()[1]); break
        except OSError: pass
    return r

class Server:
    """A server under test, described by a JSON descriptor (see README)."""
    def __init__(self, desc, work, vars, variant=None):
        d = dict(desc)
        if variant: d.update(variant)
        self.d, self.name = d, desc['name'] + ('' if not variant else '/' + variant.get('variant', ''))
        self.dir = os.path.join(work, re.sub(r'\W', '_', self.name)); os.makedirs(self.dir, exist_ok=True)
        self.v = dict(vars); self.v.update(dir=self.dir, here=HERE, bin=BIN)
        for k, off in d.get('ports', {}).items(): self.v[k] = vars['base'] + off
        for k, r in d.get('repeat', {}).items():
            rows = []
            for i in range(r['count'] if isinstance(r['count'], int) else int(self.v[r['count']])):
                vv = dict(self.v); vv['i'] = i
                for kk, e in r.get('calc', {}).items(): vv[kk] = eval(e, {}, dict(vv))
                rows.append(subst(r['line'], vv))
            self.v[k] = '\n'.join(rows)
        self.p = None
    def write(self, files=None, extra=None):
        v = dict(self.v); v.update(extra or {})
        for n, t in (files or self.d.get('files', {})).items():
            t = '\n'.join(t) if isinstance(t, list) else t
            path = subst(n, v) if n.startswith('@@') else os.path.join(self.dir, n)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            tmp = path + '.tmp'
            open(tmp, 'w').write(subst(subst(t, v), v) + '\n'); os.rename(tmp, path)
    def start(self, cpu, extra=None, wait_tcp=None, timeout=20):
        self.write(extra=extra)
        v = dict(self.v); v.update(extra or {}); v['cpu'] = cpu
        if self.d.get('gen'): subprocess.check_call(subst(self.d['gen'], v), shell=True, cwd=self.dir)
        cmd = subst(self.d['start'], v)
        env = dict(os.environ); env.update({k: str(x) for k, x in self.d.get('env', {}).items()}); env['HOME'] = self.dir
        self.log = open(os.path.join(self.dir, 'log'), 'w')
        self.p = subprocess.Popen(['taskset', '-c', str(cpu), 'sh', '-c', 'exec ' + cmd], cwd=self.dir, env=env,
                                  stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        t0 = time.time()
        for port in ([wait_tcp] if wait_tcp else [self.v[k] for k in self.d.get('wait', [])]):
            while True:
                try: socket.create_connection(('127.0.0.1', port), 0.2).close(); break
                except OSError:
                    if time.time() - t0 > timeout or self.p.poll() is not None:
                        raise RuntimeError('%s did not start; see %s/log' % (self.name, self.dir))
                    time.sleep(0.02)
        self.start_s = time.time() - t0
    def root(self):
        pf = self.d.get('pidfile')
        if pf: return int(open(subst(pf, self.v)).read())
        return self.p.pid
    def pids(self): return tree(self.root())
    def stop(self):
        if not self.p: return
        ps = self.pids() if self.p.poll() is None else []
        for p in ps:
            try: os.kill(p, signal.SIGTERM)
            except OSError: pass
        try: self.p.wait(3)
        except subprocess.TimeoutExpired: pass
        for p in ps:
            try:
                os.kill(p, 0); time.sleep(0.2); os.kill(p, signal.SIGKILL)
            except OSError: pass
        try: self.p.wait(3)
        except subprocess.TimeoutExpired: pass
        self.p = None

class Sampler(threading.Thread):
    """largest RSS (PSS of the whole tree) seen while a load runs"""
    def __init__(self, pids):
        super().__init__(daemon=True); self.pids, self.max, self.go = pids, 0, True; self.start()
    def run(self):
        while self.go:
            self.max = max(self.max, rss_kb(self.pids)); time.sleep(0.15)
    def end(self): self.go = False; self.join(); return self.max

def load_descs(names, kind):
    out = []
    for n in names:
        p = n if os.path.exists(n) else os.path.join(HERE, 'peers', n + '.json')
        d = json.load(open(p)); assert d['kind'] == kind, p; out.append(d)
    return out

def med(xs): return statistics.median(xs) if xs else float('nan')

def table(rows, head):
    w = [max(len(str(r[i])) for r in [head] + rows) for i in range(len(head))]
    for r in [head, ['-' * x for x in w]] + rows: print('| ' + ' | '.join(str(c).ljust(w[i]) for i, c in enumerate(r)) + ' |')
