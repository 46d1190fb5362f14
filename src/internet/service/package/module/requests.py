import json as _json
import urllib.error
import urllib.parse
import urllib.request

__version__ = '2.31.0'


class RequestException(IOError):
    pass


class ConnectionError(RequestException):
    pass


class HTTPError(RequestException):
    pass


class Timeout(RequestException):
    pass


class exceptions:
    RequestException = RequestException
    ConnectionError = ConnectionError
    HTTPError = HTTPError
    Timeout = Timeout


class Response:
    def __init__(self, url, status, headers, content):
        self.url, self.status_code, self.headers, self.content = url, status, headers, content
        self.ok, self.encoding = status < 400, 'utf-8'

    @property
    def text(self):
        return self.content.decode('utf-8', 'replace')

    def json(self, **kwargs):
        return _json.loads(self.text)

    def iter_content(self, chunk_size=1, **kwargs):
        yield self.content

    def raise_for_status(self):
        if not self.ok:
            raise HTTPError('%s for %s' % (self.status_code, self.url))

    def __bool__(self):
        return self.ok

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return False


def _form(data, files):
    mark = 'b7f1c0a94e5d4e6b'
    parts = [(name, None, value) for name, value in (data or {}).items()]
    for name, value in files.items():
        given = value if isinstance(value, (tuple, list)) else (name, value)
        content = given[1].read() if hasattr(given[1], 'read') else given[1]
        parts.append((name, given[0] or name, content))
    body = b''
    for name, file, content in parts:
        content = content if isinstance(content, bytes) else str(content).encode()
        head = '--%s\r\nContent-Disposition: form-data; name="%s"' % (mark, name)
        head += '; filename="%s"' % file if file else ''
        body += head.encode() + b'\r\n\r\n' + content + b'\r\n'
    return body + b'--%s--\r\n' % mark.encode(), 'multipart/form-data; boundary=' + mark


def request(method, url, params=None, data=None, headers=None, json=None, files=None, auth=None, timeout=None, **kwargs):
    headers = dict(headers or {})
    headers.setdefault('User-Agent', 'python-requests/' + __version__)
    if params:
        url += ('&' if '?' in url else '?') + urllib.parse.urlencode(params, doseq=True)
    kind = None
    if files:
        data, kind = _form(data, files)
    elif json is not None:
        data, kind = _json.dumps(json).encode(), 'application/json'
    elif hasattr(data, 'read'):
        data = data.read()
    elif data is not None and not isinstance(data, (bytes, str)):
        data, kind = urllib.parse.urlencode(data, doseq=True).encode(), 'application/x-www-form-urlencoded'
    if isinstance(data, str):
        data = data.encode()
    if kind:
        headers.setdefault('Content-Type', kind)
    if isinstance(auth, tuple):
        import base64
        headers['Authorization'] = 'Basic ' + base64.b64encode(('%s:%s' % auth).encode()).decode()
    asked = urllib.request.Request(url, data=data, headers=headers, method=method.upper())
    try:
        with urllib.request.urlopen(asked, timeout=timeout or 30) as answer:
            return Response(answer.url, answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Response(url, error.code, dict(error.headers), error.read())
    except OSError as error:
        raise ConnectionError(error)


class Session:
    def __init__(self):
        self.headers, self.cookies, self.auth, self.verify, self.proxies = {}, {}, None, True, {}

    def request(self, method, url, headers=None, **kwargs):
        kwargs.setdefault('auth', self.auth)
        return request(method, url, headers={**self.headers, **(headers or {})}, **kwargs)

    def mount(self, *args):
        pass

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return False


def session():
    return Session()


def _verb(method):
    def call(url, data=None, json=None, **kwargs):
        return request(method, url, data=data, json=json, **kwargs)

    def bound(self, url, data=None, json=None, **kwargs):
        return self.request(method, url, data=data, json=json, **kwargs)

    setattr(Session, method, bound)
    return call


get, options, head, post, put, patch, delete = [
    _verb(method) for method in ('get', 'options', 'head', 'post', 'put', 'patch', 'delete')
]
