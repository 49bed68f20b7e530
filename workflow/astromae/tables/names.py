"""Names as a reader knows them, for what the configuration names with identifiers."""

#: Parts of a model's name that are written in their own way.
_WORDS = {"vit": "ViT", "astromae": "AstroMAE", "inception": "Inception", "resnet": "ResNet", "pasquet": "Pasquet"}

#: Models that go by another name.
_NAMES = {
    "henghes": "Henghes et al. 2022",
    "hgb-magnitudes": "boosted trees on magnitudes",
    "hgb-apertures": "boosted trees on apertures",
    "local-linear": "local linear regression",
    "knn": "nearest neighbours",
}

#: Ways to learn that go by another name.
_OBJECTIVES = {
    "mae": "masked autoencoder",
    "moco": "MoCo v2",
    "barlow_twins": "Barlow Twins",
    "supervised": "labels only",
    "random": "random, frozen",
}

#: Groups of a table's rows, in its order.
GROUPS = {
    "scratch": "From scratch",
    "pretrained": "Pretrained encoder",
    "random": "Encoder frozen at random weights",
    "classical": "Classical",
}


def model_name(model: str) -> str:
    """Return how a model is called in figures and tables, for example ``pcm-AstroMAE``."""
    if model in _NAMES:
        return _NAMES[model]
    words = model.split("-")
    start = words[0] if words[0] in ("scratch", "random") else ""
    name = "-".join(_WORDS.get(word, word) for word in words[bool(start) :])
    return f"{name} ({start})" if start else name


def objective_name(objective: str) -> str:
    """Return how a way to learn is called, for example ``MoCo v2``."""
    return {**_NAMES, **_OBJECTIVES}.get(objective, objective.replace("_", " ").replace("-", " "))


def encoder_name(encoder: str) -> str:
    """Return how an encoder is called, for example ``pcm encoder``."""
    return f"{encoder} encoder"


def group_name(group: str) -> str:
    """Return the heading of a group of models."""
    return GROUPS.get(group, group.capitalize())
