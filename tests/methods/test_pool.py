import torch

from viceversa.methods.base import ImagePool


def numbered(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def values(batch: torch.Tensor) -> list[float]:
    return batch[:, 0, 0, 0].tolist()


def test_passes_everything_through_while_it_fills_and_remembers_it_in_the_state_dict() -> None:
    pool, other = ImagePool(3), ImagePool(3)
    assert values(pool(numbered(1, 2))) == [1, 2]
    assert values(pool(numbered(3))) == [3]
    assert values(pool.images) == [1, 2, 3]
    other(numbered(9))
    other.load_state_dict(pool.state_dict())
    assert values(other.images) == [1, 2, 3]
    ImagePool(5).load_state_dict(ImagePool(5).state_dict())


def test_hands_out_old_images_half_of_the_time_and_keeps_the_new_ones() -> None:
    torch.manual_seed(0)
    pool, old = ImagePool(5), 0
    pool(numbered(*range(5)))
    for number in range(5, 2005):
        before = values(pool.images)
        (given,) = values(pool(numbered(number)))
        after = values(pool.images)
        if given == number:
            assert after == before
        else:
            old += 1
            assert given in before
            assert sorted(after) == sorted([*(n for n in before if n != given), number])
    assert 900 < old < 1100


def test_decides_for_each_image_of_a_batch_and_what_it_gave_stays_as_it_is() -> None:
    torch.manual_seed(0)
    pool = ImagePool(64)
    pool(numbered(*range(64)))
    given = pool(numbered(*range(100, 164)))
    kept = values(given)
    assert 16 < sum(value < 100 for value in kept) < 48
    pool(numbered(*range(200, 264)))
    assert values(given) == kept


def test_is_off_at_size_zero_and_carries_no_gradient() -> None:
    batch = numbered(1.0).requires_grad_()
    assert torch.equal(ImagePool(0)(batch), batch)
    assert not any(ImagePool(size)(batch).requires_grad for size in (0, 2))
