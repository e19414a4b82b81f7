"""A network to numbers: accuracy counted over every image once, and what the network costs."""

from common.evaluation.evaluate import Metrics, evaluate, evaluate_images, evaluator, score

__all__ = ["Metrics", "evaluate", "evaluate_images", "evaluator", "score"]
