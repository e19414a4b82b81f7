"""A network to numbers: accuracy counted over every image once, and what the network costs."""

from common.evaluation.evaluate import Metrics, OnBatch, evaluate, evaluate_images, evaluator, score

__all__ = ["Metrics", "OnBatch", "evaluate", "evaluate_images", "evaluator", "score"]
