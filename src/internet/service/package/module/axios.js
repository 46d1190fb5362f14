const http = require('http');
const https = require('https');

function send(method, url, data, config) {
  config = config || {};
  const target = new URL(url, config.baseURL);
  for (const [name, value] of Object.entries(config.params || {})) target.searchParams.set(name, value);
  const headers = Object.assign({ Accept: 'application/json, text/plain, */*', 'User-Agent': 'axios/1.6.0' }, config.headers);
  let body = data;
  if (data && typeof data === 'object' && !Buffer.isBuffer(data) && !(data instanceof URLSearchParams)) {
    body = JSON.stringify(data);
    headers['Content-Type'] = headers['Content-Type'] || 'application/json';
  } else if (data instanceof URLSearchParams) {
    body = data.toString();
    headers['Content-Type'] = 'application/x-www-form-urlencoded';
  }
  if (body !== undefined) headers['Content-Length'] = Buffer.byteLength(body);
  return new Promise((resolve, reject) => {
    const options = { method: method.toUpperCase(), headers };
    const request = (target.protocol === 'https:' ? https : http).request(target, options, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        let content = config.responseType === 'arraybuffer' ? bytes : bytes.toString();
        try { content = typeof content === 'string' ? JSON.parse(content) : content; } catch (_) { /* text */ }
        const answer = { status: response.statusCode, statusText: '', headers: response.headers, data: content, config };
        if (answer.status < 400) return resolve(answer);
        reject(Object.assign(new Error('Request failed with status code ' + answer.status), { response: answer }));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function make(defaults) {
  const merged = (config) => Object.assign({}, defaults, config);
  const axios = (url, config) =>
    typeof url === 'string'
      ? send((config || {}).method || 'get', url, (config || {}).data, merged(config))
      : send(url.method || 'get', url.url, url.data, merged(url));
  axios.request = axios;
  for (const verb of ['get', 'delete', 'head', 'options']) axios[verb] = (url, config) => send(verb, url, undefined, merged(config));
  for (const verb of ['post', 'put', 'patch']) axios[verb] = (url, data, config) => send(verb, url, data, merged(config));
  axios.create = make;
  axios.defaults = { headers: { common: {} } };
  axios.interceptors = { request: { use() {} }, response: { use() {} } };
  return axios;
}

module.exports = make({});
module.exports.default = module.exports;
