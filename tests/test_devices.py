"""How devices are shared out, from the command line's words to a mesh."""

import jax
import pytest

from jaxcompare.config.errors import ConfigError
from jaxcompare.config.settings import Settings
from jaxcompare.engine import sweep
from jaxcompare.execution import devices
from jaxcompare.execution.devices import MeshShape, parse_mesh


@pytest.mark.parametrize(
    ("text", "shape"),
    [("replica=4,data=2", (4, 2)), ("data=2", (None, 2)), ("replica=3", (3, 1)), ("data=1, replica=1", (1, 1))],
)
def test_a_mesh_is_read(text, shape):
    assert parse_mesh(text) == MeshShape(*shape)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("replicas=4", "no axis 'replicas'; did you mean replica?"),
        ("data=0", "data = '0' is not a whole number of at least 1"),
        ("replica=two", "replica = 'two'"),
        ("data=2,data=2", "data is given twice"),
        ("", "no axis ''"),
    ],
)
def test_a_mesh_that_cannot_be_is_an_error(text, message):
    with pytest.raises(ConfigError, match="--mesh") as caught:
        parse_mesh(text)
    assert message in str(caught.value)


def test_batches_fall_into_equal_parts():
    devices.check_batches(MeshShape(1, 4), [Settings(batch_size=128)])
    with pytest.raises(ConfigError, match="batch_size = 130 is not a multiple of 4"):
        devices.check_batches(MeshShape(1, 4), [Settings(batch_size=128), Settings(batch_size=130)])


def test_the_mesh_is_over_the_devices_that_there_are():
    count = len(jax.local_devices())
    assert sweep.tiles_at_once(devices.make_mesh(devices.EVERY_DEVICE)) == count
    mesh = devices.make_mesh(MeshShape(None, 2))
    assert dict(mesh.shape) == {"replica": count // 2, "data": 2}
    assert devices.make_mesh(MeshShape(1, 2)).size == 2
    for shape in (MeshShape(count, 2), MeshShape(None, count + 1)):
        with pytest.raises(ConfigError, match=f"there are {count}"):
            devices.make_mesh(shape)
