"""Figures of a run, and the samples that they are drawn from where there are no stamps."""

from astromae.registry import Registry

#: Families of figures (`astromae.products.Product`), in the order of the results page.
FIGURES = Registry(
    "figure",
    {
        "stamps": "astromae.figures.families:STAMPS",
        "realism": "astromae.figures.families:REALISM",
        "scheme-autoencoder": "astromae.figures.families:SCHEME_AUTOENCODER",
        "scheme-inception": "astromae.figures.families:SCHEME_INCEPTION",
        "scheme-models": "astromae.figures.families:SCHEME_MODELS",
        "labels": "astromae.figures.families:LABELS",
        "density": "astromae.figures.families:DENSITY",
        "published": "astromae.figures.families:PUBLISHED",
        "residuals": "astromae.figures.families:RESIDUALS",
        "worst": "astromae.figures.families:WORST",
        "reconstructions": "astromae.figures.families:RECONSTRUCTIONS",
        "finetuning": "astromae.figures.families:FINETUNING",
        "loss-time": "astromae.figures.families:LOSS_TIME",
        "pretraining": "astromae.figures.families:PRETRAINING",
        "learning-rate": "astromae.figures.families:LEARNING_RATE",
    },
)

#: Families of samples: small files from stamps and catalogue, which figures and tables read instead.
SAMPLES = Registry(
    "sample",
    {
        "stamps": "astromae.figures.families:STAMPS_SAMPLE",
        "realism": "astromae.figures.families:REALISM_SAMPLE",
        "magnitudes": "astromae.figures.families:MAGNITUDES_SAMPLE",
        "worst": "astromae.figures.families:WORST_SAMPLE",
    },
)
