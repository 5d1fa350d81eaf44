"""Which changes along time and along the mel axis does a model of spectrograms go by? With sounds to listen to.

    .venv/bin/python recipes/audio_spectrogram.py
    .venv/bin/accelerate launch recipes/audio_spectrogram.py          # as many processes as are configured

Yours: change MODEL (--model, a Hub id such as an AST) and CLIPS. About three minutes on two cores.
Offline, MODEL is Whisper's encoder with a head for five families of instruments, fitted here.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo

given = options(__doc__, out="hf-fourier-audio-spectrogram")
MODEL = given.model or demo.get("whisper-instruments")
SOUNDS = demo.instruments("test")[:: 8 if given.small else 2][: 3 if given.small else 16]
CLIPS = [{"array": clip["audio"], "sampling_rate": clip["rate"]} for clip in SOUNDS]

explainer = FourierExplainer.from_pretrained(MODEL)
results = list(explainer.explain_dataset(CLIPS, given.run, fractions=[0.01, 0.04, 0.1, 0.3]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
for clip, result in list(zip(SOUNDS, results, strict=True))[:5]:
    print(f"{clip['name']}: {result.label} ({result.confidence:.2f}), in truth {clip['label']}")
print(results[0].top_features(5))  # cycles per second along time, cycles per mel band along the other axis

evaluation = explainer.evaluate(CLIPS, methods=["tracking"], metrics=["maintain_rate", "selectivity"])
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)"]))

names = [clip["name"] for clip in SOUNDS]
folder = Report(results, evaluation=evaluation, names=names).save(given.out, include_inputs=True)
print("sounds/0001 holds the first clip, and the clip filtered to what was kept and removed: these do not add up to it")
print(f"report: {folder}")
