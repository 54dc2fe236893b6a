FROM driftbench/science:1
RUN pip install --no-cache-dir --root-user-action=ignore scikit-learn==1.7.2 joblib==1.5.2
WORKDIR /app
COPY *.py ./
