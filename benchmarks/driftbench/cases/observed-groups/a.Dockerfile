FROM driftbench/science:1
RUN pip install --no-cache-dir --root-user-action=ignore pandas==2.3.3 numpy==2.3.4 pytz==2024.1
WORKDIR /app
COPY *.py ./
