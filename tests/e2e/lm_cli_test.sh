#!/bin/bash
# SPDX-License-Identifier: MIT
# The snpu command's language models as people use them: generate, chat, score, convert and tokenize on a small trained model and
# on golden data of random ones; every option, files, JSON, and an error with the right exit status for what can be wrong.
# Prints TAP.
# usage: lm_cli_test.sh BUILD
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/e2e/cli_rig.sh
. tests/e2e/cli_rig.sh

data=tests/data/spikingbrain
float=$data/austen-3.7m
spike=$data/austen-3.7m-w8aspike
unset SNPU_THREADS

# --- helpers --------------------------------------------------------------------------------------------------

cat >"$tmp/lm.py" <<-'PY'
	# Golden data and what the command wrote, for one-line checks.
	import glob, json, os, struct, sys
	import numpy as np
	DATA = "tests/data/spikingbrain/"
	def golden(name):
	    raw = open(DATA + name + "/golden.safetensors", "rb").read()
	    n = struct.unpack("<Q", raw[:8])[0]
	    types = {"F32": "<f4", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}
	    return {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], types[v["dtype"]]).reshape(v["shape"])
	            for k, v in json.loads(raw[8:8 + n]).items() if k != "__metadata__"}
	def ids(name, prompt): return ",".join(map(str, golden(name)[prompt + ".input_ids"]))
	def near(a, b, limit): return a.shape == b.shape and float(abs(a.astype("f8") - b).max()) <= limit
	def arrays(folder): return {os.path.basename(f)[:-4]: np.load(f) for f in glob.glob(folder + "/*.npy")}
	def nll(logits, targets):  # bits
	    x = logits.astype("f8")
	    m = x.max(1)
	    return ((np.log(np.exp(x - m[:, None]).sum(1)) + m - x[np.arange(len(targets)), targets]) / np.log(2)).sum()
PY
py() { # py CODE ARGUMENT...: Python with these helpers; a false expression fails
	local code=$1
	shift
	PYTHONPATH=$tmp "$python" -c "from lm import *
$code" "$@"
}
check() { # check EXPRESSION ARGUMENT...: sys.argv[1] is the first argument
	py 'expression = sys.argv.pop(1); sys.exit(0 if eval("(" + expression + ")") else "false: " + expression)' "$@"
}
generate() { "$snpu" generate "$@"; }
ids_of() { # ids_of COMMAND...: the ids that it makes, with commas
	"$@" --json | "$python" -c 'import json, sys; print(",".join(map(str, json.load(sys.stdin)["ids"])))'
}
same_ids() { # same_ids WANTED COMMAND...
	local want=$1 got
	shift
	got=$(ids_of "$@") || return 1
	[ "$got" = "$want" ] || { printf 'got    %s\nwanted %s\n' "$got" "$want"; return 1; }
}
same_output() { # same_output WANTED COMMAND...: exactly this on stdout
	local want=$1 got
	shift
	got=$("$@" 2>/dev/null; echo .)
	[ "$got" = "$want"$'\n.' ] || { printf 'got    %q\nwanted %q\n' "$got" "$want"; return 1; }
}

# --- generate: what comes out ---------------------------------------------------------------------------------

for row in 0 1 2 3 4 5 6; do
	py "import json; r = json.load(open(DATA + 'dev-demo/greedy.json'))[$row]; sys.stdout.write(r['prompt'])" >"$tmp/prompt"
	ok "float, prompt $row: tokens of the prompt and 48 greedy ones are those of the original" json "d['prompt_ids'] == $(py "print(json.load(open(DATA + 'dev-demo/greedy.json'))[$row]['ids'])") and
		d['ids'] == $(py "print(json.load(open(DATA + 'dev-demo/greedy.json'))[$row]['fp32']['greedy_ids'])") and d['stop'] == 'length'" generate $float -f "$tmp/prompt" -n 48 --json
	ok "float, prompt $row: its text" check "open(sys.argv[1]).read() == json.load(open(DATA + 'dev-demo/greedy.json'))[$row]['fp32']['greedy_text'] + '\n'" <(generate $float -f "$tmp/prompt" -n 48 -q)
done
for form in w8aspike_k3 w8aspike_k3_alldown; do
	down=float
	[ $form = w8aspike_k3 ] || down=spike
	py "print(*(','.join(map(str, r['ids'])) + ' ' + ','.join(map(str, r['$form']['greedy_ids'])) for r in json.load(open(DATA + 'dev-demo/greedy.json'))[:6]), sep='\n')" >"$tmp/rows"
	while read -r in want; do echo "$want $(ids_of generate $spike --ids "$in" -n 8 --down $down)"; done <"$tmp/rows" >"$tmp/got"
	ok "$form: greedy tokens agree with the original's (a count at a rounding boundary may leave the path)" \
		check "np.mean([a == b for l in open(sys.argv[1]) for a, b in zip(l.split()[0].split(','), l.split()[1].split(','))]) >= 0.9" "$tmp/got"
done

emma=$(ids_of generate $spike -p 'Emma was' -n 32)
ok "the prompt comes first, then the text" same_output 'Emma was in the first to speak' generate $spike -p 'Emma was' -n 5
ok "-q leaves the prompt out" same_output ' in the first to speak' generate $spike -p 'Emma was' -n 5 -q
ok "a second argument is the prompt" same_ids "$emma" generate $spike 'Emma was' -n 32
ok "-p - reads stdin, without the line break at its end" same_ids "$emma" sh -c "echo 'Emma was' | '$snpu' generate $spike -p - -n 32 \"\$@\"" sh
ok "-f - as well" same_ids "$emma" sh -c "echo 'Emma was' | '$snpu' generate $spike -f - -n 32 \"\$@\"" sh
ok "--ids" same_ids "$emma" generate $spike --ids "$("$snpu" tokenize $spike -q 'Emma was')" -n 32
ok "-n 0 evaluates the prompt only" json "d['ids'] == [] and d['timing']['prompt_tokens'] == 3 and d['timing']['first_token_ms'] is None" generate $spike -p 'Emma was' -n 0 --json
ok "a model without a tokenizer prints ids" sh -c "'$snpu' generate $data/dev-7b-a --ids 5,10 -n 8 2>/dev/null | grep -qxE '[0-9]+( [0-9]+){7}'"

for option in '-d sim' '-d sim --bit-serial' '-d sim,cpu' '--threads 1' '--cpu-isa scalar' '--cpu-isa avx2' '--chunk 1' '-d sim --chunk 2' '--profile'; do
	# shellcheck disable=SC2086 # options and their values
	ok "$option: the same tokens" same_ids "$emma" generate $spike -p 'Emma was' -n 32 $option
done

# --- generate: drawing, ending, windows -----------------------------------------------------------------------

drawn=$(ids_of generate $spike -p 'Emma was' -n 16 -t 0.9 --top-k 40 --top-p 0.95 --repetition-penalty 1.1 --seed 7)
ok "a seed gives the same text" same_ids "$drawn" generate $spike -p 'Emma was' -n 16 -t 0.9 --top-k 40 --top-p 0.95 --repetition-penalty 1.1 --seed 7
ok "... on the simulator, too" same_ids "$drawn" generate $spike -p 'Emma was' -n 16 -t 0.9 --top-k 40 --top-p 0.95 --repetition-penalty 1.1 --seed 7 -d sim
ok "another seed gives another" sh -c "[ '$drawn' != '$(ids_of generate $spike -p 'Emma was' -n 16 -t 0.9 --seed 8)' ]"
ok "without one, the seed that was made is told" json "d['sampler']['seed'] is not None and d['sampler']['temperature'] == 1" generate $spike -p 'Emma was' -n 2 --top-p 0.9 --json
ok "--top-k 1 is greedy" same_ids "${emma%,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*}" generate $spike -p 'Emma was' -n 16 --top-k 1 -t 2
ok "a tiny --top-p is greedy" same_ids "${emma%,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*}" generate $spike -p 'Emma was' -n 16 --top-p 0.000001
ok "--repetition-penalty avoids what was said" json "len(set(d['ids'] + d['prompt_ids'])) == 19" generate $spike -p 'Emma was' -n 16 --repetition-penalty 50 --json

cp -r $spike "$tmp/eos"
sed -i 's/"eos_token_id": 1021/"eos_token_id": 11/' "$tmp/eos/config.json" # ","
ok "it ends where the model ends its text" json "d['stop'] == 'eos' and d['text'] == ' in the first to speak to her'" generate "$tmp/eos" -p 'Emma was' -n 32 --json
ok "--ignore-eos goes on" same_ids "$emma" generate "$tmp/eos" -p 'Emma was' -n 32 --ignore-eos

for p in short long; do
	for window in w1 w hf; do
		ok "dev-7b-a, $p prompt, --window $window: the original's continuation" \
			same_ids "$(py "print(','.join(map(str, golden('dev-7b-a')['$p.greedy_$window'])))")" generate $data/dev-7b-a --ids "$(py "print(ids('dev-7b-a', '$p'))")" -n 32 --window $window
	done
done
ok "dev-w8-a: the original's continuation" same_ids "$(py "print(','.join(map(str, golden('dev-w8-a')['long.greedy_w1'])))")" generate $data/dev-w8-a --ids "$(py "print(ids('dev-w8-a', 'long'))")" -n 32
ok "a float model taken as a spiking one" json "d['model']['form'] == 'spike' and d['model']['k'] == 2 and d['model']['down'] == 'spike'" generate $float -p 'Emma was' -n 4 --form spike -k 2 --down spike --json

# --- generate: state ------------------------------------------------------------------------------------------

half=${emma%,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*,*}
ok "--state-save" same_ids "$half" generate $spike -p 'Emma was' -n 16 --state-save "$tmp/state"
ok "--state-load goes on as if nothing had been in between" same_ids "${emma#"$half",}" generate $spike -n 16 --state-load "$tmp/state"
ok "... on another device" same_ids "${emma#"$half",}" generate $spike -n 16 --state-load "$tmp/state" -d sim --require-device
ok "... and with a text" same_ids "$(ids_of generate $spike --ids "$("$snpu" tokenize $spike -q 'Emma was'),$half,291" -n 6)" generate $spike --ids 291 -n 6 --state-load "$tmp/state"
ok "a state of another model" says 1 'no state of model|takes [0-9]+ bytes' generate $float -n 4 --state-load "$tmp/state"
head -c 1000 "$tmp/state" >"$tmp/cut"
ok "a state that is cut" says 1 'it is cut' generate $spike -n 4 --state-load "$tmp/cut"
{ cat "$tmp/state"; printf '\xff\xff\xff\x7f'; } >"$tmp/wild"
ok "a state with a token that the model does not have" says 1 'the model knows ids below 1024' generate $spike -n 4 --state-load "$tmp/wild"
ok "a state that cannot be written" says 1 'cannot write /nonexistent/s' generate $spike -p x -n 1 --state-save /nonexistent/s

# --- looking inside -------------------------------------------------------------------------------------------

for model in dev-7b-a dev-w8-a; do
	prompt=$(py "print(ids('$model', 'short'))")
	ok "$model: --dump" generate $data/$model --ids "$prompt" -n 0 -q --dump "$tmp/$model"
	ok "$model: every array is the original's: shapes, counts exactly, numbers within 1e-4, codes of caches within their step" check \
		"(lambda g, a: (lambda both: len(both) >= int(sys.argv[2]) and all(near(a[k], g['short.' + k], 0 if 'count' in k else 0.05 if k[:3] == 'kv_' else 1e-4) for k in both))
		([k for k in a if 'short.' + k in g]))(golden('$model'), arrays(sys.argv[1]))" "$tmp/$model" "$([ $model = dev-7b-a ] && echo 21 || echo 34)"
	ok "$model: ... the same bits in pieces of 2 tokens on the simulator" generate $data/$model --ids "$prompt" -n 0 -q --dump "$tmp/$model.2" -d sim --chunk 2
	ok "... compared" diff -r "$tmp/$model" "$tmp/$model.2"
done
ok "tokens that are made are in the arrays, too" generate $data/dev-w8-a --ids 1,2,3 -n 4 -q --dump "$tmp/more" --dump-only 'lin.1.*.count' --dump-only layer_in.0
ok "... rows joined, and only what was asked for" check "{k: v.shape for k, v in arrays(sys.argv[1]).items()} == {**{f'lin.1.{n}_proj.count': (6, 128) for n in ('q', 'o', 'gate')}, 'layer_in.0': (6, 128)}" "$tmp/more"
ok "--down spike: logits of the report's variant" sh -c "'$snpu' generate $data/dev-w8-a --ids '$(py "print(ids('dev-w8-a', 'short'))")' -n 0 -q --down spike --dump '$tmp/alldown' --dump-only logits"
ok "... are the original's" check "near(arrays(sys.argv[1])['logits'], golden('dev-w8-a')['short.alldown.logits'], 1e-4)" "$tmp/alldown"
ok "--dump where nothing can be written" says 1 'cannot make the folder /nonexistent/x' generate $data/dev-7b-a --ids 1 -n 0 --dump /nonexistent/x
mkdir "$tmp/in-the-way" "$tmp/in-the-way/logits.npy"
ok "... or not all of it" says 1 'cannot write .*logits.npy.*directory' generate $data/dev-7b-a --ids 1 -n 0 --dump "$tmp/in-the-way"
ok "--dump-only with a name that there is not" says 1 'no array has such a name' generate $data/dev-7b-a --ids 1 -n 0 --dump "$tmp/none" --dump-only 'lin.9.*'

ok "--profile: statistics are those of the original's counts" json "(lambda e, w: all(abs(e[a] - w[b]) < 6e-4 for a, b in (('S_zero', 'zero_share'), ('S_avg', 'avg_spikes_per_channel'), ('S_act', 'avg_spikes_per_active_channel'),
	('S_le7', 'share_le7'), ('S_gt16', 'share_gt16'), ('S_w3', 'window3_low3bits'), ('S_w3le7', 'window3_values_le7_only'), ('S_T', 'steps_max3'), ('S_rep', 'report_formula'), ('mean', 'ternary_avg'))) and e['max'] == w['max'])
	(d['spikes']['executed'], json.load(open('$data/dev-w8-a/sparsity.json'))['without_down_proj'])" generate $data/dev-w8-a --ids "$(py "print(ids('dev-w8-a', 'long'))")" -n 0 --profile --json
ok "... layers add up to the whole" json "sum(r['spikes']['macs'] for r in d['layers'] if r['spikes']) == d['spikes']['executed']['macs'] and abs(sum(r['share'] for r in d['layers']) - 1) < 1e-6" \
	generate $spike -p 'Emma was' -n 2 --profile --json
ok "... the report's energy, and none of a card on the CPU" json "d['energy']['card_joules'] is None and abs(d['energy']['ideal_joules'] / (d['spikes']['executed']['S_avg'] * d['spikes']['executed']['macs'] * 3e-14) - 1) < 1e-6" \
	generate $spike -p 'Emma was' -n 2 --profile --json
ok "... both on a simulated card, which is said" json "d['energy']['card_simulated'] and d['energy']['card_joules'] > d['energy']['card_arithmetic_joules'] > 0 and
	abs(sum(r['counters']['ENERGY'] for r in d['layers']) * 1e-15 / d['energy']['card_joules'] - 1) < 1e-9" generate $spike -p 'Emma was' -n 2 --profile --json -d sim
ok "... on the screen" says 0 'model of the card: .*simulated, not measured silicon' generate $spike -p 'Emma was' -n 2 --profile -d sim
ok "... a row for each layer" says 0 'layer 3 +swa +sim +[0-9.]+ %' generate $spike -p 'Emma was' -n 2 --profile -d sim
ok "... a float model has no spikes" says 0 'no spiking layer: the model is taken as float' generate $float -p 'Emma was' -n 2 --profile

for coding in binary ternary bitwise bitwise-bidirectional twos-complement; do
	ok "--raster as $coding: valid SVG with the tokens" sh -c "'$snpu' generate $spike -p 'Emma was' -n 3 -q --raster layer:3.o_proj --coding $coding -o '$tmp/$coding.svg' && rsvg-convert '$tmp/$coding.svg' -o '$tmp/r.png' &&
		grep -q 'layer 3, input of o_proj' '$tmp/$coding.svg' && grep -q mma '$tmp/$coding.svg'"
done
ok "--raster of queries" generate $spike -p 'Emma was' -n 3 -q --raster layer:1.queries -o "$tmp/q.svg"
ok "--raster of a layer that is not there" says 2 'there is no layer 4' generate $spike -p x --raster layer:4.q_proj -o "$tmp/q.svg"
ok "--raster of what takes no spikes" says 2 'down_proj takes no spikes' generate $spike -p x --raster layer:0.down_proj -o "$tmp/q.svg"
ok "--raster of a float model" says 2 '--form spike' generate $float -p x --raster layer:0.q_proj -o "$tmp/q.svg"
ok "--raster of queries of linear attention" says 2 'layer 0 is gated linear attention' generate $spike -p x --raster layer:0.queries -o "$tmp/q.svg"
ok "--raster to where nothing can be written" says 1 'cannot draw /nonexistent/x.svg' generate $spike -p x -n 1 --raster layer:0.q_proj -o /nonexistent/x.svg

# --- what is told ---------------------------------------------------------------------------------------------

keys="['command','device','devices','fallbacks','format','ids','model','options','placement','prompt_ids','sampler','stop','text','timing','version']"
ok "--json: the keys of format 1" json "d['format'] == 1 and d['command'] == 'generate' and sorted(d) == $keys and d['fallbacks'] == []" generate $spike -p 'Emma was' -n 4 --json
ok "--json: text and ids are the same" json "d['text'] == ' in the first to' and len(d['ids']) == 4 and len(d['placement']) == 6" generate $spike -p 'Emma was' -n 4 --json
json True generate $spike -p 'Emma was' -n 2 --json --profile -d sim --dump "$tmp/json" --raster layer:0.q_proj -o "$tmp/j.svg" --state-save "$tmp/j.state" >/dev/null
ok "--json: documented keys, all of them" documented "$tmp/out.json" docs/man/snpu-generate.1 docs/man/snpu-run.1
ok "the device is named" says 0 'device +cpu  CPU of this machine, [a-z0-9]+ kernels, 1 thread$' generate $spike -p 'Emma was' -n 1 -d cpu --threads 1
ok "... a simulated one as such" says 0 'device +sim  SIMULATED card inside this process' generate $spike -p 'Emma was' -n 1 -d sim
ok "where the parts are" says 0 'placed +sim: embedding, layers 0-3, head, ' generate $spike -p 'Emma was' -n 1 -d sim
ok "timing, as people know it" says 0 'prompt eval time = +[0-9.]+ ms / +3 tokens \([0-9.]+ ms per token, [0-9.]+ tokens/s\)' generate $spike -p 'Emma was' -n 4
for what in 'load time =' ' eval time = .*/ +3 tokens' 'first token =' 'total time ='; do ok "... $what" says 0 "$what" generate $spike -p 'Emma was' -n 4; done
ok "nothing of it on stdout" sh -c "[ \"\$('$snpu' generate $spike -p 'Emma was' -n 2 2>/dev/null)\" = 'Emma was in the' ]"
ok "lines of at most 100 columns, with a profile" sh -c "! '$snpu' generate $spike -p x -n 1 --profile -d sim 2>&1 | grep -E '.{101}'"
ok "no blanks at the ends of lines" sh -c "! '$snpu' generate $spike -p x -n 1 --profile -d sim 2>&1 >/dev/null | grep -n ' $'"
ok "an ASCII terminal gets ASCII" sh -c "LC_ALL=C '$snpu' generate $spike -p x -n 1 --profile -d sim 2>&1 | LC_ALL=C grep -q '[^ -~]' && exit 1 || exit 0"
cut_short() {
	interrupted "$snpu" generate $spike -p 'Emma was' -n 100000000 -q >"$tmp/part"
	[ $? = 130 ] && grep -q '^ in the first' "$tmp/part"
}
ok "Ctrl-C ends it: status 130, and the text so far" cut_short
ok "... while a long prompt is read, too" says 130 '' interrupted "$snpu" generate $float -f $data/heldout-text.txt -n 1 -q -d sim

# --- chat -----------------------------------------------------------------------------------------------------

chat() { "$snpu" chat "$@"; }
begin=$'<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n'
first=$(ids_of generate $spike --ids "$("$snpu" tokenize $spike -q "$begin")" -n 10)
next=$'<|im_end|>\n<|im_start|>user\nAnd you?<|im_end|>\n<|im_start|>assistant\n'
second=$(ids_of generate $spike --ids "$("$snpu" tokenize $spike -q "$begin"),$first,$("$snpu" tokenize $spike -q "$next")" -n 10)
text_of() { "$snpu" tokenize $spike -q --ids "$1"; }
text_of "$first" >"$tmp/a1"; echo >>"$tmp/a1"
text_of "$second" >"$tmp/a2"; echo >>"$tmp/a2"
ok "chat: a turn is in the model's template" cmp "$tmp/a1" <(echo Hello | chat $spike -n 10 -q)
ok "chat: the next one goes on with the same context" cmp <(cat "$tmp/a1" "$tmp/a2") <(printf 'Hello\nAnd you?\n' | chat $spike -n 10 -q)
ok "chat: only answers on stdout" cmp "$tmp/a1" <(echo Hello | chat $spike -n 10 2>/dev/null)
generate $spike -q -n 10 -p $'<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n' --ignore-eos >"$tmp/a3"
ok "chat: --system" cmp "$tmp/a3" <(echo Hello | chat $spike -n 10 -q --system 'Be brief.')
ok "chat: /reset forgets" cmp <(cat "$tmp/a1" "$tmp/a1") <(printf 'Hello\n/reset\nHello\n' | chat $spike -n 10 -q)
ok "chat: /save and /load" cmp <(cat "$tmp/a1" "$tmp/a2" "$tmp/a2") <(printf 'Hello\n/save %s\nAnd you?\n/load %s\nAnd you?\n' "$tmp/c" "$tmp/c" | chat $spike -n 10 -q)
ok "chat: --state-load goes on with it, on another device" cmp "$tmp/a2" <(echo 'And you?' | chat $spike -n 10 -q --state-load "$tmp/c" -d sim)
ok "chat: /exit leaves" cmp "$tmp/a1" <(printf 'Hello\n/exit\nHello\n' | chat $spike -n 10 -q)
ok "chat: a command that is not there is explained, and the chat goes on" says 0 '/reset forgets everything' sh -c "printf '/help\n/save\n' | '$snpu' chat $spike"
ok "chat: a file that cannot be loaded does not end it" cmp "$tmp/a1" <(printf '/load /nonexistent\nHello\n' | chat $spike -n 10 -q 2>/dev/null)
ok "chat: a blank line is not said" cmp "$tmp/a1" <(printf '\n  \nHello\n\n' | chat $spike -n 10 -q)
ok "chat: timing at the end" says 0 'prompt eval time' sh -c "echo Hello | '$snpu' chat $spike -n 4"
ok "chat: an answer that was cut says so" says 0 'stopped after 4 tokens' sh -c "echo Hello | '$snpu' chat $spike -n 4"
ok "chat: without a tokenizer" says 1 'came without a tokenizer' sh -c "echo Hello | '$snpu' chat $data/dev-7b-a"

# A model whose sentences end its turn: in its head, "." and "<|im_end|>" change places.
cp -r $spike "$tmp/eot"
py 'f = sys.argv[1]; raw = bytearray(open(f, "rb").read()); n = struct.unpack("<Q", raw[:8])[0]; t = json.loads(raw[8:8 + n])["lm_head.weight"]
at = 8 + n + t["data_offsets"][0]; row = (t["data_offsets"][1] - t["data_offsets"][0]) // 1024; a, b = at + 13 * row, at + 1023 * row
raw[a:a + row], raw[b:b + row] = raw[b:b + row], raw[a:a + row]; open(f, "wb").write(raw)' "$tmp/eot/model.safetensors"
ok "chat: an answer ends where the model ends its turn" says 0 '^[^.]+[a-z]$' sh -c "echo Hello | '$snpu' chat '$tmp/eot' -q"
ok "generate: likewise, and says so" json "d['stop'] == 'eot' and d['model']['eot'] == 1023 and d['text'].endswith('to see you again')" generate "$tmp/eot" -p 'Emma was' -n 200 --json

typed() { # typed COMMAND [SECONDS TEXT]...: on a terminal of 80 columns, keys after so many seconds; its status comes last
	"$python" - "$@" <<-'PY'
		import fcntl, os, pty, select, struct, sys, termios, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp("sh", ["sh", "-c", "exec " + sys.argv[1]])
		fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
		def read(until):
		    while time.time() < until and select.select([fd], [], [], max(0, until - time.time()))[0]:
		        try:
		            got = os.read(fd, 4096)
		        except OSError:
		            return
		        if not got: return
		        sys.stdout.write(got.decode("utf-8", "replace"))
		for seconds, text in zip(sys.argv[2::2], sys.argv[3::2]):
		    read(time.time() + float(seconds))
		    try:
		        os.write(fd, text.encode())
		    except OSError:
		        break  # it has left already
		read(time.time() + 30)
		print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PY
}
ok "chat: a prompt for somebody who types" says 0 '^> ' typed "'$snpu' chat $spike -n 4 -q" 2 $'/exit\n'
ok "chat: Ctrl-C stops the answer, and the chat goes on" says 0 'status 0' typed "'$snpu' chat $spike -n 100000000 -q" 1 $'Hello\n' 2 $'\x03' 2 $'/exit\n'
ok "chat: twice leaves" says 0 'status 130' typed "'$snpu' chat $spike -n 100000000 -q" 1 $'Hello\n' 2 $'\x03' 1 $'\x03'
ok "chat: at the prompt, too" says 0 'again leaves' typed "'$snpu' chat $spike -q" 2 $'\x03' 1 $'\x03'
ok "a bar while a long prompt is read, on a terminal" says 0 'prompt +[█·]+ .*tokens' typed "'$snpu' generate $spike -f $data/heldout-text.txt -n 1" 3 $'\x03'

# --- score ----------------------------------------------------------------------------------------------------

score() { "$snpu" score "$@"; }
text=$data/heldout-text.txt
scores() { # scores NAME LIMIT MODEL OPTION...: bits per byte of the first 53 248 tokens, as the original's code has them in eval.json
	local name=$1 limit=$2 got
	shift 2
	got=$(score "$1" $text --tokens 53248 -q "${@:2}") || return 1
	check "abs(float(sys.argv[1]) / json.load(open(DATA + 'eval.json'))['bpb'][sys.argv[2]] - 1) < $limit" "$got" "$name"
}
ok "score: float: bits per byte of the original, within 0.001 %" scores 'fp32 (bf16 weights)' 1e-5 $float
for k in 2 3 4; do
	ok "score: k = $k: bits per byte of the original, within 0.1 %" scores "W8ASpike k=$k (upstream code: down_proj not spiked)" 1e-3 $spike -k $k
	ok "score: k = $k, all linear layers spiking" scores "W8ASpike k=$k, all linears spiked (report)" 1e-3 $spike -k $k --down spike
done

head -c 3000 $text >"$tmp/text"
generate $spike --ids "$("$snpu" tokenize $spike -q - <"$tmp/text" | cut -d, -f1-64)" -n 0 -q --dump "$tmp/s1" --dump-only logits
generate $spike --ids "$("$snpu" tokenize $spike -q - <"$tmp/text" | cut -d, -f65-100)" -n 0 -q --dump "$tmp/s2" --dump-only logits
ids=$("$snpu" tokenize $spike -q - <"$tmp/text" | cut -d, -f1-101)
ok "score: --segment and --tokens" json "d['score']['predicted'] == 100 and d['score']['segments'] == 2 and abs(d['score']['perplexity'] - 2 ** (d['score']['bits'] / 100)) < 1e-6" \
	score $spike "$tmp/text" --segment 64 --tokens 100 --json
ok "score: the sum is that of the logits, segment by segment" check "(lambda t: abs(json.load(open(sys.argv[1]))['score']['bits'] / (nll(np.load('$tmp/s1/logits.npy'), t[1:65]) + nll(np.load('$tmp/s2/logits.npy'), t[65:101])) - 1) < 1e-6)([$ids])" \
	"$tmp/out.json"
ok "score: bytes are those of the predicted tokens" json "d['score']['bytes'] == 3000 - len('The') and d['score']['predicted'] + 1 == d['score']['tokens']" score $spike "$tmp/text" --json
ok "score: documented keys, all of them" documented "$tmp/out.json" docs/man/snpu-score.1 docs/man/snpu-generate.1 docs/man/snpu-run.1
for option in '-d sim' '--chunk 3' '--threads 1 --cpu-isa scalar'; do
	# shellcheck disable=SC2086 # options and their values
	ok "score: $option: the same number" test "$(score $spike "$tmp/text" -q)" = "$(score $spike "$tmp/text" -q $option)"
done
ok "score: from stdin" test "$(score $spike "$tmp/text" -q)" = "$(score $spike - -q <"$tmp/text")"
ok "score: on the screen" says 0 'score +[0-9.]+ bits per byte +[0-9.]+ perplexity' score $spike "$tmp/text"
printf x >"$tmp/one"
ok "score: a text that is too short" says 1 'two are the least' score $spike "$tmp/one"
ok "score: a text that is not there" says 1 'No such file' score $spike "$tmp/absent"
ok "score: a model without a tokenizer" says 1 'came without a tokenizer' score $data/dev-7b-a "$tmp/text"
ok "score: Ctrl-C" says 130 'interrupted' interrupted "$snpu" score $float $text -d sim

# --- convert --------------------------------------------------------------------------------------------------

convert() { "$snpu" convert "$@"; }
ok "convert" says 0 '0 weight codes past int8, kept exactly' convert $spike -o "$tmp/m.snpu"
ok "... the same tokens from the file" same_ids "$emma" generate "$tmp/m.snpu" -p 'Emma was' -n 32
ok "... another rate than it was made for" same_ids "$(ids_of generate $spike -p 'Emma was' -n 8 -k 2)" generate "$tmp/m.snpu" -p 'Emma was' -n 8 -k 2
ok "... its form cannot be changed" says 1 'snpu convert DIR -o MODEL.snpu' generate "$tmp/m.snpu" -p x --form float
ok "convert: codes that int8 does not hold are counted" json "d['model']['residual'] > 0 and d['bytes'] > d['model']['weight_bytes'] and d['model']['converted']" convert $data/dev-w8-clip -o "$tmp/clip.snpu" --json
ok "convert: documented keys" documented "$tmp/out.json" docs/man/snpu-generate.1 <(printf 'JSON KEYS source bytes seconds EXAMPLES')
ok "convert: --form spike --down spike -k 2" convert $float -o "$tmp/f.snpu" --form spike --down spike -k 2 -q
ok "... the same as taken from the folder" same_ids "$(ids_of generate $float -p 'Emma was' -n 8 --form spike --down spike -k 2)" generate "$tmp/f.snpu" -p 'Emma was' -n 8
ok "convert: --form float" sh -c "'$snpu' convert $float -o '$tmp/ff.snpu' -q && '$snpu' generate '$tmp/ff.snpu' -p 'Emma was' -n 4 2>&1 | grep -q 'parameters, float'"
ok "convert: --calibration" convert $float -o "$tmp/cal.snpu" --form spike --calibration "$tmp/text" -q
ok "... makes other scales" sh -c "! cmp -s '$tmp/cal.snpu' '$tmp/f.snpu'"
ok "convert: PyTorch shards" says 0 'dev-7b-bin +729 k parameters' convert $data/dev-7b-bin -o "$tmp/dev-7b-bin"
ok "convert: no folder" says 1 'No such file or directory; give a model.s folder' convert "$tmp/absent" -o "$tmp/x.snpu"
ok "convert: a folder without a model" says 1 'no config.json' convert tests -o "$tmp/x.snpu"
ok "convert: a form that the model cannot have" says 1 'spiking|float' convert $spike -o "$tmp/x.snpu" --form float
ok "convert: where nothing can be written" says 1 'cannot be written' convert $spike -o /nonexistent/x.snpu
ok "convert: after an error there is no file" sh -c "! ls '$tmp'/x.snpu* 2>/dev/null"
head -c 100000 "$tmp/m.snpu" >"$tmp/half.snpu"
ok "a converted file that is cut" says 1 'next: ' generate "$tmp/half.snpu" -p x

# --- tokenize -------------------------------------------------------------------------------------------------

tokenize() { "$snpu" tokenize "$@"; }
ok "tokenize: ids and pieces" says 0 '^ +301  " I"$' tokenize $spike 'and I'
ok "tokenize: special tokens" says 0 '^ +1023  "<\|im_end\|>"$' tokenize $spike 'x<|im_end|>'
ok "tokenize: what is no text on its own" says 0 '"\\xc3"' tokenize $spike 'Ö'
ok "tokenize: -q is what --ids takes" same_output 'Emma was "there".' tokenize $spike --ids "$(tokenize $spike -q 'Emma was "there".')"
head -c 20000 $text >"$tmp/long"
ok "tokenize: there and back" cmp "$tmp/long" <(tokenize $spike -q --ids "$(tokenize $spike -q - <"$tmp/long")")
ok "tokenize: --json" json "''.join(d['pieces']) == d['text'] == 'Emma was' and len(d['ids']) == 3" tokenize $spike 'Emma was' --json
ok "tokenize: documented keys" documented "$tmp/out.json" docs/man/snpu-generate.1 <(printf 'JSON KEYS ids pieces text EXAMPLES')
ok "tokenize: without a tokenizer" says 1 'came without a tokenizer' tokenize $data/dev-7b-a x
ok "tokenize: an id that there is not" says 1 'the model knows ids below 1024' tokenize $spike --ids 5,1024

# --- wrong usage, and errors that tell what to type -----------------------------------------------------------

usage() { # usage TEXT ARGUMENT...: status 2, and nothing was done
	local text=$1
	shift
	ok "usage: $*: $text" says 2 "$text" "$snpu" "$@"
}
usage 'which model' generate
usage 'what goes on' generate $spike
usage 'a prompt comes from one of' generate $spike -p x --ids 5
usage 'a third argument' generate $spike x y
usage 'no list of token ids' generate $spike --ids 5,x
usage 'no list of token ids' generate $spike --ids 99999999999
for bad in '-n -1' '-n x' '-t -1' '-t nan' '--top-k 0' '--top-p 1.5' '--repetition-penalty 0' '--seed -1' '-k 0' '-k nan' '--form int4' '--down up' '--window w2' '--chunk 0' '--chunk 5000' \
	'--threads 0' '--cpu-isa mmx' '--raster 3.o_proj -o x' '--raster layer:3.v -o x' '--raster layer:3.o_proj' '--coding morse' '-o x' '--dump-only x' '--device cpu --require-device' '--nonsense' '-d ,'; do
	# shellcheck disable=SC2086 # options and their values
	usage 'snpu generate' generate $spike -p x $bad
done
usage 'which model' chat
usage 'a second argument' chat $spike x
usage 'goes on with one' chat $spike --system x --state-load x
usage 'which text' score $spike
usage 'to 1073741824' score $spike x --segment 0
usage 'into which file' convert $spike
usage 'which folder' convert -o x
usage 'which text' tokenize $spike
usage 'not both' tokenize $spike x --ids 5
ok "an empty prompt" says 1 'the prompt is empty' generate $spike -p ''
ok "an id that the model does not have" says 1 'the model knows ids below 512' generate $data/dev-7b-a --ids 5,512
ok "no such model" says 1 'absent: No such file' generate "$tmp/absent" -p x
ok "a file that is no model" says 1 'next: ' generate Makefile -p x
ok "an unknown device" says 2 'gpu' generate $spike -p x -d gpu
[ -e /dev/accel/accel0 ] && skip "a card that is not there" "this machine has a card" || ok "a card that is not there: status 3" says 3 'snpu list' generate $spike -p x -d card
[ -e /dev/accel/accel0 ] && skip "--require-device without a card" "this machine has a card" || ok "--require-device without a card: status 3" says 3 'device sim' generate $spike -p x --require-device
ok "an error in JSON" json "d['error']['exit'] == 1 and d['error']['next'] and 'absent' in d['error']['message']" generate "$tmp/absent" -p x --json
cp -r $spike "$tmp/broken"
head -c 4000000 $spike/model.safetensors >"$tmp/broken/model.safetensors"
ok "weights that are cut" says 1 'model.safetensors' generate "$tmp/broken" -p x
for c in "generate $tmp/absent -p x" "generate $spike --ids 2000" "score $spike $tmp/absent" "convert $tmp/absent -o x" "tokenize $data/dev-7b-a x" "chat $tmp/absent" "generate $spike -p x -d card:9"; do
	# shellcheck disable=SC2086 # a command line
	ok "$c: says what to type next" sh -c "'$snpu' $c 2>&1 | grep -qE '^  next:  .'"
done
done_testing
