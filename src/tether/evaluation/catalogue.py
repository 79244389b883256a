"""Every number that tether gives, with a line each: what `tether list metrics` prints."""

from __future__ import annotations

from collections.abc import Mapping

METRICS: Mapping[str, str] = {
    "accuracy": "share of right answers, higher is better; Wilson interval; can make the headline",
    "balanced_accuracy": "mean recall over the classes that occur; can make the headline",
    "macro_f1": "unweighted mean of each class's F1; can make the headline",
    "worst_group": "accuracy of the worst group with at least 25 examples; can make the headline",
    "tenth_percentile": "10th percentile of the groups' accuracies; can make the headline",
    "precision": "share of right answers among those that named a class, per class",
    "f1": "harmonic mean of precision and recall, per class",
    "nll": "mean negative log-likelihood of the label in nats, lower is better",
    "brier": "squared distance of the probabilities from the label, 0 to 2, lower is better",
    "ece": "calibration error of the top class over 15 equal bins, lower is better",
    "nll_scaled": "nll after one temperature fitted on ID validation",
    "ece_scaled": "ece after one temperature fitted on ID validation",
    "robustness_gap": "1 - OOD/ID; read it only beside both scores",
    "robustness_gap_chance": "the gap with chance level taken off both scores",
    "gap_reduction": "1 - gap/gap of the reference; of mean gaps, and the mean of each shift's",
    "id_change": "ID score minus the reference's, paired",
    "ood_change": "OOD score minus the reference's, paired: relative robustness",
    "effective_robustness": "OOD accuracy above the logit-linear line of at least 8 ordinary models",
    "mce": "mean corruption error against AlexNet: 15 corruptions, 5 severities, 1000 classes, 224 px only",
    "relative_mce": "the same of the errors beyond the clean one",
    "nce": "corruption error against a reference model of the comparison, where mce is not defined",
}
