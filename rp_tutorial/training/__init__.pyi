from .classify import fit_classifier, image_accuracy, image_logits
from .dp_sgd import (
    PrivacyRecord,
    PrivateNet,
    check_records_do_not_mix,
    fit_privately,
    private_steps,
    train_only,
    with_group_norm,
)
from .fill_prior import train_prior
from .fit import accuracy, fit
from .gan import fit_gan
from .pca import fit_pca
from .pretrain import fit_exemplars, image_features
from .privacy_accounting import calibrated_noise, spent_epsilon
from .vae import fit_vae

__all__ = [
    "PrivacyRecord",
    "PrivateNet",
    "accuracy",
    "calibrated_noise",
    "check_records_do_not_mix",
    "fit",
    "fit_classifier",
    "fit_exemplars",
    "fit_gan",
    "fit_pca",
    "fit_privately",
    "fit_vae",
    "image_accuracy",
    "image_features",
    "image_logits",
    "private_steps",
    "spent_epsilon",
    "train_only",
    "train_prior",
    "with_group_norm",
]
