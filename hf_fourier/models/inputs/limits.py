"""The limits on what is read of files, checked before any work; `hf-fourier docs security` lists them.

They lie above what is met in practice and below what would take all memory or minutes of a small machine.
"""

from __future__ import annotations

#: Bytes of a pickled or JSON dictionary of a tokenizer; Geneformer's have up to two million.
DICTIONARY_BYTES = 2**26
#: Bytes of a JSON file that holds one example.
JSON_BYTES = 2**26
#: Levels of lists and objects within each other in a JSON table.
JSON_LEVELS = 1000
#: Bytes of a FASTA or FASTQ file, unpacked.
SEQUENCE_BYTES = 2**27
#: Bytes of an array in a `.npy` file.
ARRAY_BYTES = 2**32
#: Numbers in a sound that is decoded at once: samples times channels.
SOUND_NUMBERS = 2**28
#: How many times as many samples a sound may have at the model's rate as at its own.
RATE_STRETCH = 64
#: Either term of the ratio of two sampling rates, in lowest terms: the resampling filter has 20 times as many taps.
RATE_TERM = 2**18
#: Channels of an EDF or BDF file.
EDF_CHANNELS = 4096
#: Samples per second of a channel of an EDF or BDF file.
EDF_RATE = 10**6
#: Files in the folder of a DICOM series.
DICOM_FILES = 10_000
#: Bytes of one of them.
DICOM_BYTES = 2**28
