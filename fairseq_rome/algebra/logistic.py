"""Logistic regression by Newton's method, to the minimum."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

# Newton's steps at most, and steps of conjugate gradients for one of them. Around a dozen and 25 are taken.
_STEPS, _INNER = 40, 50
# How exactly a step is solved for far from the minimum, as a share of the gradient's norm; smaller takes more products.
_FORCING = 0.1
# Of the loss, what one more step would gain when the steps end; single precision has no more than this.
_GAIN = 1e-6
# Lengths that are tried of a step, and the share of the gain it promises that it must bring.
_LENGTHS, _BROUGHT = [2.0**-halvings for halvings in range(8)], 1e-4


def logistic_loss(now: Tensor, rows: Tensor, shares: Tensor, decays: Tensor) -> Tuple[Tensor, Tensor]:
    """The loss of a logistic regression, and its gradient.

    The loss of a row is the softplus of its product with the weight and the bias. The gradient is written out: at this
    size autograd costs more than the products.

    Args:
        now: weight and bias, length d + 1.
        rows: n x (d + 1) inputs with a 1 behind them; those that should respond above zero are negated.
        shares: length n, what each row counts.
        decays: length d + 1, what the square of each number costs.

    Returns:
        A scalar, and its gradient of length d + 1.
    """
    products = rows @ now
    gradient = rows.T @ (shares * products.sigmoid()) + 2 * decays * now
    return shares @ softplus(products) + decays @ now.square(), gradient


def least_logistic(start: Tensor, rows: Tensor, shares: Tensor, decays: Tensor) -> Tensor:
    """The weight and bias (length d + 1) of least loss.

    By truncated Newton steps (Nocedal and Wright 2006, section 7.1), which need products with the rows alone and never
    the d x d matrix of second derivatives. The loss is convex: where they begin tells how many there are and no more.

    Args:
        start: where to begin, length d + 1.
        rows: see `logistic_loss`.
        shares: likewise.
        decays: likewise.
    """
    now = start
    for _ in range(_STEPS):
        loss, gradient = logistic_loss(now, rows, shares, decays)
        products = rows @ now
        likely = products.sigmoid()
        step = _step_down(gradient, rows, shares * likely * (1 - likely), decays)
        gain = float(gradient @ step)
        if not gain > _GAIN * float(loss):
            break
        for length in _LENGTHS:
            tried = now - length * step
            if float(logistic_loss(tried, rows, shares, decays)[0]) <= float(loss) - _BROUGHT * length * gain:
                break
        else:
            tried = now - _step_down(gradient, rows, shares * _bound(products), decays)
        now = tried
    return now


def _bound(products: Tensor) -> Tensor:
    """Second derivatives of parabolas that touch the softplus at some places and lie nowhere below it.

    A step by them goes down from anywhere, where the softplus is straight too (Jaakkola and Jordan 2000, section 3).
    """
    far = products.abs().clamp_min(1e-3)
    return (far / 2).tanh() / (2 * far)


def _step_down(gradient: Tensor, rows: Tensor, curved: Tensor, decays: Tensor) -> Tensor:
    """Second derivatives' inverse times the gradient, by conjugate gradients, more exactly the smaller it is.

    Args:
        gradient: length d + 1.
        rows: n x (d + 1).
        curved: length n, the second derivative of each row's loss, or more.
        decays: length d + 1.
    """
    step, rest, direction = torch.zeros_like(gradient), gradient, gradient
    square = float(rest @ rest)
    enough = min(_FORCING**2, square**0.5) * square
    for _ in range(_INNER):
        turned = rows.T @ (curved * (rows @ direction)) + 2 * decays * direction
        curvature = float(direction @ turned)
        if not curvature > 0:
            break
        step, rest = step + (square / curvature) * direction, rest - (square / curvature) * turned
        before, square = square, float(rest @ rest)
        if square <= enough:
            break
        direction = rest + (square / before) * direction
    return step
