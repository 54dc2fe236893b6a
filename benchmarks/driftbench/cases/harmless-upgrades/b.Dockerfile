FROM driftbench/science:1
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels reportkit==3.4
RUN pip install --no-cache-dir --root-user-action=ignore joblib==1.5.1 threadpoolctl==3.5.0
ENV LOG_LEVEL=debug
WORKDIR /app
COPY *.py ./
