"""What can be chosen by name, and where it stands: one line an entry, its module and attribute.

This file is no source of any step: a new line changes nothing of what was there before.
"""

#: Surveys: where galaxies and pixels come from (`astromae.survey`).
SURVEYS = {
    "embedded": "astromae.survey.embedded:SURVEY",
    "sdss": "astromae.survey.sdss:SURVEY",
    "cube": "astromae.survey.cube:SURVEY",
}

#: Encoders: networks that turn stamps into features (`astromae.encoders`).
ENCODERS = {
    "vit": "astromae.encoders.vit:ENCODER",
    "pcm-vit": "astromae.encoders.pcm_vit:ENCODER",
    "inception": "astromae.encoders.inception:ENCODER",
    "resnet": "astromae.encoders.resnet:ENCODER",
    "pasquet": "astromae.encoders.pasquet:ENCODER",
}

#: Objectives: what encoders learn by, most of them without labels (`astromae.objectives`).
OBJECTIVES = {
    "mae": "astromae.objectives.mae:OBJECTIVE",
    "moco": "astromae.objectives.moco:OBJECTIVE",
    "barlow_twins": "astromae.objectives.barlow_twins:OBJECTIVE",
    "supervised": "astromae.objectives.supervised:OBJECTIVE",
}

#: Tasks: what models learn from labels and predict (`astromae.tasks`).
TASKS = {
    "redshift": "astromae.tasks.redshift:TASK",
    "redshift_pdf": "astromae.tasks.redshift_pdf:TASK",
    "morphology": "astromae.tasks.morphology:TASK",
}

#: Classical methods: what predicts without a network (`astromae.classical`).
METHODS = {
    "hgb-magnitudes": "astromae.classical.hgb_magnitudes:METHOD",
    "hgb-apertures": "astromae.classical.hgb_apertures:METHOD",
    "local-linear": "astromae.classical.local_linear:METHOD",
    "knn": "astromae.classical.knn:METHOD",
}

#: Families of figures, in the order of the results page (`astromae.figures`).
FIGURES = {
    "stamps": "astromae.figures.families:STAMPS",
    "realism": "astromae.figures.families:REALISM",
    "scheme-autoencoder": "astromae.figures.families:SCHEME_AUTOENCODER",
    "scheme-inception": "astromae.figures.families:SCHEME_INCEPTION",
    "scheme-models": "astromae.figures.families:SCHEME_MODELS",
    "labels": "astromae.figures.families:LABELS",
    "density": "astromae.figures.families:DENSITY",
    "published": "astromae.figures.families:PUBLISHED",
    "residuals": "astromae.figures.families:RESIDUALS",
    "pit": "astromae.figures.families:PIT",
    "nz": "astromae.figures.families:NZ",
    "roc": "astromae.figures.families:ROC",
    "worst": "astromae.figures.families:WORST",
    "reconstructions": "astromae.figures.families:RECONSTRUCTIONS",
    "finetuning": "astromae.figures.families:FINETUNING",
    "loss-time": "astromae.figures.families:LOSS_TIME",
    "pretraining": "astromae.figures.families:PRETRAINING",
    "learning-rate": "astromae.figures.families:LEARNING_RATE",
}

#: Families of samples: small files from stamps and catalogue that figures and tables read instead.
SAMPLES = {
    "stamps": "astromae.figures.families:STAMPS_SAMPLE",
    "realism": "astromae.figures.families:REALISM_SAMPLE",
    "magnitudes": "astromae.figures.families:MAGNITUDES_SAMPLE",
    "worst": "astromae.figures.families:WORST_SAMPLE",
    "features": "astromae.figures.families:FEATURES_SAMPLE",
    "look-alikes": "astromae.figures.families:LOOK_ALIKES_SAMPLE",
}

#: Families of tables (`astromae.tables`).
TABLES = {
    "metrics": "astromae.tables.families:METRICS",
    "cost": "astromae.tables.families:COST",
    "calibration": "astromae.tables.families:CALIBRATION",
    "conformal": "astromae.tables.families:CONFORMAL",
    "rail": "astromae.tables.families:RAIL",
    "questions": "astromae.tables.families:QUESTIONS",
    "purity": "astromae.tables.families:PURITY",
    "realism": "astromae.tables.families:REALISM",
}
