FROM driftbench/science:1
RUN pip install --no-cache-dir --root-user-action=ignore pandas==3.0.0 numpy==2.3.5
WORKDIR /app
COPY *.py ./
