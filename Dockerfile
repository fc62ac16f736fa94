# The dashboard. Build: docker build -t rightsize . ; run: docker run -p 8501:8501 rightsize
# Any base with Python 3.11 or newer and its venv will do: --build-arg BASE=...
ARG BASE=python:3.11-slim
FROM ${BASE}

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/rightsize/bin:$PATH \
    RIGHTSIZE_DATA=/data

WORKDIR /srv/rightsize
COPY requirements.txt ./
RUN python3 -m venv /opt/rightsize \
    && pip install --disable-pip-version-check -r requirements.txt \
    && useradd --system --create-home --uid 10001 rightsize \
    && install -d -o rightsize /data

COPY pyproject.toml ./
COPY .streamlit .streamlit
COPY app app
COPY pricing pricing
COPY estimators estimators

USER rightsize
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/livez', timeout=2)"]
CMD ["python", "-m", "streamlit", "run", "app/server.py", "--server.address=0.0.0.0", "--server.port=8501"]
