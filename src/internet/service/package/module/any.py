__version__ = '1.0'


class _Any:
    def __call__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return False

    def __iter__(self):
        return iter(())

    def __bool__(self):
        return True

    def __str__(self):
        return ''


def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return _Any()
