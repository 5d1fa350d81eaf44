"""Which frequencies, in Hz, does a model of waveforms go by? With the parts to listen to.

    .venv/bin/python recipes/audio_waveform.py
    .venv/bin/accelerate launch recipes/audio_waveform.py          # as many processes as are configured

Yours: change MODEL (--model, a Hub id such as a wav2vec2 classifier) and CLIPS. About two minutes on two cores.
Offline, MODEL is a small wav2vec2 that tells English from French telephone prompts. There is one speaker a language,
so it may tell the speakers apart; telephone sound has nothing above 4 kHz, so no explanation may name that.
"""

from options import first_goes_on, options

from hf_fourier import FourierExplainer, Report, demo

given = options(__doc__, out="hf-fourier-audio-waveform")
MODEL = given.model or demo.get("wav2vec2-languages")
PROMPTS = demo.prompts("test")[:: 100 if given.small else 16][: 4 if given.small else 24]
CLIPS = [{"array": clip["audio"], "sampling_rate": clip["rate"]} for clip in PROMPTS]

explainer = FourierExplainer.from_pretrained(MODEL)
results = list(explainer.explain_dataset(CLIPS, given.run, fractions=[0.01, 0.04, 0.1, 0.3]))
first_goes_on()  # under `accelerate launch` the processes have shared the examples; one goes on
print(results[0].label, results[0].confidence)
print(results[0].top_features(8))

evaluation = explainer.evaluate(CLIPS, methods=["tracking"], metrics=["maintain_rate", "selectivity"])
print(evaluation.summary(["maintain_rate_at_0.04", "selectivity (random)"]))

names = [clip["name"] for clip in PROMPTS]
folder = Report(results, evaluation=evaluation, names=names).save(given.out, include_inputs=True)
print("sounds/0001 holds the first clip, what was kept and what was removed: the two add up to the clip")
print(f"report: {folder}")
