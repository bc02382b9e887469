"""Expressions over attributes: Istio's language and CEL, typed when configuration is read, compiled, bounded."""

from mixer.expression.check import Language
from mixer.expression.error import AbsentError, EvaluationError, ExpressionError, Position
from mixer.expression.program import Program, compile_expression

__all__ = ["AbsentError", "EvaluationError", "ExpressionError", "Language", "Position", "Program", "compile_expression"]
